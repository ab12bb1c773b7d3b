#[otto::test]
#[should_panic(expect = "no carrier")]
async fn boots() {}

fn main() {}
