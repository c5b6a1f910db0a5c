fn main() {
    let _ = egress_baseline::capture::now();
}
