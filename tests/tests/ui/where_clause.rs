#[otto::test]
async fn boots()
where
    u8: Copy,
{
}

fn main() {}
