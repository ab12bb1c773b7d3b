struct Silent;

#[otto::test]
async fn boots() -> Result<(), Silent> {
    Ok(())
}

fn main() {}
