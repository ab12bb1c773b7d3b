use std::sync::Arc;

struct Image;

#[otto::test]
async fn boots(image: Arc<Image>) {
    let _ = image;
}

fn main() {}
