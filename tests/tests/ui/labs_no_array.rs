#[otto::test(labs = "bench")]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
