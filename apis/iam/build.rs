fn main() {
    cloudlet_model::build("iam");
}
