#[otto::test]
fn boots() {}

fn main() {}
