#[otto::test]
#[tokio::test]
async fn boots() {}

fn main() {}
