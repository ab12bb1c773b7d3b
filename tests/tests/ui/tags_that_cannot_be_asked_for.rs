#[otto::test(tags("a,b", "!c", "d e", ""))]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
