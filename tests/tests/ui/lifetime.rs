#[otto::test]
async fn boots<'a>(_: &'a otto::OttoContext) {}

fn main() {}
