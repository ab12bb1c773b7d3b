#[otto::test]
#[test]
async fn boots() {}

fn main() {}
