fn main() {
    cloudlet_model::build("account");
}
