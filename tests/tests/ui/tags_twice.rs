#[otto::test(tags("smoke", "smoke"))]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
