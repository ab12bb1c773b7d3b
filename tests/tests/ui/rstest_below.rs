#[otto::test]
#[rstest::rstest]
async fn boots() {}

fn main() {}
