use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use otto::prelude::*;
use otto::{Error, ErrorKind, Result};

fn error() -> Error {
    Error::new(ErrorKind::Invalid, "no route to the peer").caused_by("the cable is out")
}

#[otto::test(lab = "local")]
async fn passes(ctx: OttoContext) -> Result<()> {
    ctx.get_host("local")?.run("true").await?.ok()?;
    Ok(())
}

#[otto::test(lab = "local")]
async fn fails() -> Result<()> {
    Err(error())
}

#[otto::test(lab = "local")]
async fn fails_at_a_command(ctx: OttoContext) -> Result<()> {
    ctx.get_host("local")?.run("ls /nowhere").await?.ok()?;
    Ok(())
}

#[otto::test(lab = "local")]
async fn panics() {
    tokio::task::yield_now().await;
    panic!("the bench is on fire");
}

#[otto::test(lab = "local", timeout = "300ms")]
async fn hangs() {
    tokio::time::sleep(Duration::from_secs(60)).await;
}

#[otto::test(lab = "local", timeout = "300ms")]
async fn blocks() {
    std::thread::sleep(Duration::from_secs(60));
}

#[otto::test(lab = "local", retries = 1)]
async fn is_flaky() -> Result<()> {
    static ATTEMPTS: AtomicU32 = AtomicU32::new(0);
    // nextest tries again by itself, in another process.
    let of_nextest = std::env::var("NEXTEST_ATTEMPT").ok().and_then(|number| number.parse().ok());
    match ATTEMPTS.fetch_add(1, Ordering::Relaxed).max(of_nextest.unwrap_or(1) - 1) {
        0 => Err(Error::new(ErrorKind::Invalid, "the link flaps")),
        _ => Ok(()),
    }
}

#[otto::test(lab = "local")]
async fn skips(ctx: OttoContext) {
    ctx.skip("the bench has no camera");
}

#[otto::test(lab = "local")]
#[ignore = "needs the new PSU"]
async fn is_ignored() {
    panic!("was run");
}

#[otto::test(lab = "local")]
#[should_panic(expected = "over")]
async fn should_panic() {
    panic!("overheated");
}

#[otto::test(lab = "local")]
#[should_panic(expected = "over")]
async fn should_panic_and_does_not() {}

#[otto::test(lab = "rack")]
async fn of_another_lab() {
    panic!("was run");
}

#[otto::test(lab = "local")]
async fn checks(ctx: OttoContext) {
    ctx.expect_that(false, "the fan turns");
    ctx.expect_that(false, "the light is on");
}

struct Relay(&'static str);

impl FromContext for Relay {
    type Error = Error;

    async fn from_context(_: &OttoContext) -> Result<Self> {
        Ok(Self("on"))
    }

    async fn close(self) -> Result<()> {
        Err(Error::new(ErrorKind::Invalid, "the relay is stuck"))
    }
}

#[otto::test(lab = "local")]
async fn leaves_a_fixture_open(relay: &mut Relay) {
    relay.0 = "off";
}

#[otto::test(lab = "local")]
#[ignore = "it ends when somebody ends it"]
async fn waits(_: &Relay) {
    eprintln!("waiting");
    tokio::time::sleep(Duration::from_secs(60)).await;
}

struct Camera;

impl FromContext for Camera {
    type Error = Error;

    async fn from_context(_: &OttoContext) -> Result<Self> {
        Err(error())
    }
}

#[otto::test(lab = "local")]
async fn has_no_fixture(_: &Camera) {
    panic!("was run");
}

struct Image(u8);

impl LabFixture for Image {
    type Error = Error;

    async fn open(_: &OttoContext) -> Result<Self> {
        Ok(Self(7))
    }
}

#[otto::test(lab = "local")]
async fn shares(image: Arc<Image>) {
    assert_eq!(image.0, 7);
}

#[otto::test(lab = "local")]
async fn shares_too(image: Arc<Image>) {
    assert_eq!(image.0, 7);
}
