#[otto::test(lab = "bench",, timeout = "5s")]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
