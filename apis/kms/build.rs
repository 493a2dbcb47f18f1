fn main() {
    cloudlet_model::build("kms");
}
