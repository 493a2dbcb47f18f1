fn main() {
    cloudlet_model::build("dynamodbstreams");
}
