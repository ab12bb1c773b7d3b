#[otto::test]
async fn boots<T>(_: T) {}

fn main() {}
