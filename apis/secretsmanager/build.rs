fn main() {
    cloudlet_model::build("secretsmanager");
}
