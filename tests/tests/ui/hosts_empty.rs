#[otto::test(hosts(), shared(), tags())]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
