#[otto::test(hosts("", "tag:", ":shared", dut =))]
async fn boots(ctx: otto::OttoContext) {
    let _ = ctx;
}

fn main() {}
