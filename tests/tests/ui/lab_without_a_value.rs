#[otto::test(lab)]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
