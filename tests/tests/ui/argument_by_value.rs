use otto::prelude::*;

struct Server;

impl FromContext for Server {
    type Error = otto::Error;

    async fn from_context(_: &OttoContext) -> otto::Result<Self> {
        Ok(Self)
    }
}

#[otto::test]
async fn boots(server: Server) {
    let _ = server;
}

fn main() {}
