#[otto::test(shared("dns1:shared"))]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
