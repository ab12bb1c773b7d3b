use otto::Host;

#[otto::test(lab = "bench", hosts("router1"))]
async fn boots(ctx: otto::OttoContext, host: Host) {
    let _ = (ctx, host);
}

fn main() {}
