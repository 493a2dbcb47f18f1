fn main() {
    cloudlet_model::build("sts");
}
