#[otto::test(hosts("router1", dut = "a"), shared("router1", dut = "b"))]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
