fn main() {
    cloudlet_model::build("logs");
}
