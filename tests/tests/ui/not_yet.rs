#[otto::test(lab = "bench", each_host = "router.*", hosts("router1"), shared("dns1"), tags("smoke"), retries = 1)]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
