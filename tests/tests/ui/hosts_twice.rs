#[otto::test(hosts("router1", "router1", dut = "a", dut = "b"))]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
