fn main() {
    cloudlet_model::build("dynamodb");
}
