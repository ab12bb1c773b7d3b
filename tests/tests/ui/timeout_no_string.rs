#[otto::test(timeout = 90)]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
