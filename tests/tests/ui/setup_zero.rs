#[otto::test(setup = "0s", teardown = "soon")]
async fn boots() {}

fn main() {}
