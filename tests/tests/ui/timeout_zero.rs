#[otto::test(timeout = "0s")]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
