#[otto::test]
async fn boots(_: impl Sized) {}

fn main() {}
