//! Stands in for the cloudlet program, which runs itself again as a sandbox child.

fn main() {
    cloudlet_compute::child_main(std::env::args_os().collect())
}
