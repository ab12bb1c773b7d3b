#[otto::test(retries = 1001)]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
