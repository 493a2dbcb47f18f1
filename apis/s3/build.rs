fn main() {
    cloudlet_model::build("s3");
}
