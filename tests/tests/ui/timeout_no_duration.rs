#[otto::test(timeout = "soon")]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
