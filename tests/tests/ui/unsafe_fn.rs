#[otto::test]
async unsafe fn boots() {}

fn main() {}
