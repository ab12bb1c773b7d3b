#[otto::test(each_host("router.*"))]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
