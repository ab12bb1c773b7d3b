#[otto::test]
async fn boots(_: Vec<u32>) {}

fn main() {}
