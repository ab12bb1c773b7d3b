#[otto::test]
async fn boots() -> Result<u32, String> {
    Ok(1)
}

fn main() {}
