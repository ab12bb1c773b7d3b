#[otto::test(timeout = "5s", timeout = "6s")]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
