#[otto::test(priority = 3)]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
