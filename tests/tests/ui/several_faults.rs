#[otto::test(lab = 7, timeout = "soon", colour)]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
