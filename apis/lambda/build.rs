fn main() {
    cloudlet_model::build("lambda");
}
