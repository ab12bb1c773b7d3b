#[otto::test(retries = 1u8)]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
