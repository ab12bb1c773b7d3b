#[otto::test(each_host = 7)]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
