#[otto::test]
#[ignore("slow")]
async fn boots() {}

fn main() {}
