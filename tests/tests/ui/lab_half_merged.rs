#[otto::test(lab = "rack1+")]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
