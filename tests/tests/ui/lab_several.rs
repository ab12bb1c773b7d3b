#[otto::test(lab = ["bench1", "bench2"])]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
