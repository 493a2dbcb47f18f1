fn main() {
    cloudlet_model::build("ssm");
}
