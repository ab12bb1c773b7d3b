#[otto::test(labs = [])]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
