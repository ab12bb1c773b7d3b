#[otto::test]
struct Bench;

fn main() {}
