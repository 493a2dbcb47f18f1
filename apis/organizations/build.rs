fn main() {
    cloudlet_model::build("organizations");
}
