#[otto::test]
async fn boots();

fn main() {}
