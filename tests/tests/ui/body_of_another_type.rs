#[otto::test]
async fn boots() -> otto::Result<()> {
    1
}

fn main() {}
