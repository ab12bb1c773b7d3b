#[otto::test]
async fn boots(_: &mut Vec<u32>) {}

fn main() {}
