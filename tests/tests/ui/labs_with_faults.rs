#[otto::test(labs = ["bench1", 2, "", "bench1"])]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
