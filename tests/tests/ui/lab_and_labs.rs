#[otto::test(lab = "bench", labs = ["bench1"])]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
