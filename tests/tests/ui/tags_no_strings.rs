#[otto::test(tags(smoke, 7))]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
