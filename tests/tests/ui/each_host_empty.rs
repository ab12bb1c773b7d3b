#[otto::test(each_host = "")]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
