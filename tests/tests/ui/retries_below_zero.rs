#[otto::test(retries = -1)]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
