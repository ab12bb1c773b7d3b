struct Bench;

impl Bench {
    #[otto::test]
    async fn boots(&self) {}
}

fn main() {}
