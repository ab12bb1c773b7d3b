#[otto::test]
async extern "C" fn boots() {}

fn main() {}
