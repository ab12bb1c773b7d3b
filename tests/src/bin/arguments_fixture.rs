//! A suite whose tests have fixtures, and whose fixtures go wrong in every way; `tests/fixtures.rs` runs it as a child and
//! looks at what it says.

use std::sync::Arc;
use std::time::Duration;

use otto::prelude::*;
use otto::{Error, ErrorKind, Result};

/// Says what becomes of it. Closing it takes a host, which is there until all fixtures are closed.
struct Said {
    name: &'static str,
    host: Host,
}

impl Said {
    async fn of(name: &'static str, ctx: &OttoContext) -> Result<Self> {
        let host = ctx.get_host("local")?;
        host.run("x=1").await?.ok()?;
        eprintln!("made {name}");
        Ok(Self { name, host })
    }

    async fn close(self) -> Result<()> {
        assert_eq!(self.host.run("echo $x").await?.only()?.ok()?.output, "1");
        eprintln!("closed {}", self.name);
        Ok(())
    }
}

macro_rules! fixture {
    ($name:ident, $ctx:ident => $made:block, $closed:block) => {
        struct $name(Said);

        impl FromContext for $name {
            type Error = Error;

            async fn from_context($ctx: &OttoContext) -> Result<Self> {
                $made
                Ok(Self(Said::of(stringify!($name), $ctx).await?))
            }

            async fn close(self) -> Result<()> {
                $closed
                self.0.close().await
            }
        }
    };
}

async fn for_ever() {
    tokio::time::sleep(Duration::from_secs(600)).await;
}

fn error(text: &'static str) -> Error {
    Error::new(ErrorKind::Invalid, text).caused_by("no power")
}

fixture!(First, ctx => {}, {});
fixture!(Second, ctx => {}, {});
fixture!(Unmade, ctx => { Err::<(), _>(error("the bench is dark"))? }, {});
fixture!(Panics, ctx => { assert!(ctx.is_dry_run(), "boom in making") }, {});
fixture!(Slow, ctx => { eprintln!("waiting"); for_ever().await; }, {});
fixture!(Blocks, ctx => { std::thread::sleep(Duration::from_secs(60)); }, {});
fixture!(Skips, ctx => { skip(ctx, "the bench has no camera") }, {});
fixture!(Unclosed, ctx => {}, { Err::<(), _>(error("the relay is stuck"))? });
fixture!(PanicsLate, ctx => {}, { assert!(otto::try_get_context().is_none(), "boom in closing") });
fixture!(SlowToClose, ctx => {}, { eprintln!("waiting"); for_ever().await; });
fixture!(BlocksLate, ctx => {}, { std::thread::sleep(Duration::from_secs(60)); });
fixture!(SkipsLate, ctx => {}, { skip(&otto::get_context()?, "too late") });

fn skip(ctx: &OttoContext, why: &str) {
    if !ctx.is_dry_run() {
        ctx.skip(why);
    }
}

mod ends {
    use super::{Duration, Error, First, OttoContext, Result, Second, error, for_ever};

    #[otto::test(lab = "local")]
    async fn passes(_: &First, second: &mut Second) -> Result<()> {
        second.0.host.run("true").await?.ok()?;
        Ok(())
    }

    #[otto::test(lab = "local")]
    async fn fails(_: &First, _: &Second) -> Result<(), Error> {
        Err(error("no route"))
    }

    #[otto::test(lab = "local")]
    async fn panics(_: &First, _: &Second) {
        panic!("boom in the body");
    }

    #[otto::test(lab = "local")]
    #[should_panic(expected = "boom")]
    async fn should_panic(_: &First, _: &Second) {
        panic!("boom in the body");
    }

    #[otto::test(lab = "local", timeout = "300ms")]
    async fn times_out(_: &First, _: &Second) {
        for_ever().await;
    }

    #[otto::test(lab = "local", timeout = "300ms")]
    async fn blocks(_: &First, _: &Second) {
        std::thread::sleep(Duration::from_secs(60));
    }

    #[otto::test(lab = "local")]
    async fn skips(ctx: OttoContext, _: &First, _: &Second) -> Result<()> {
        let results = ctx.do_for_all_hosts(async |_| -> Result<()> { otto::get_context()?.skip("no camera") });
        results.include_local(true).await?;
        Err(error("it goes on"))
    }

    #[otto::test(lab = "local")]
    async fn waits(_: &First, _: &Second) {
        eprintln!("waiting");
        for_ever().await;
    }
}

mod setup {
    use super::{Blocks, First, Panics, Skips, Slow, Unmade};

    macro_rules! fails {
        ($name:ident, $ty:ty) => {
            #[otto::test(lab = "local", setup = "400ms")]
            async fn $name(_: &First, _: &$ty, _: &First) {
                eprintln!("the body was run");
            }
        };
    }

    fails!(unmade, Unmade);
    fails!(panics, Panics);
    fails!(slow, Slow);
    fails!(blocks, Blocks);
    fails!(skips, Skips);

    #[otto::test(lab = "local")]
    async fn waits(_: &First, _: &Slow) {
        eprintln!("the body was run");
    }
}

mod teardown {
    use super::{BlocksLate, Error, First, PanicsLate, Result, SkipsLate, SlowToClose, Unclosed, error};

    #[otto::test(lab = "local")]
    async fn unclosed(_: &First, _: &Unclosed) {}

    #[otto::test(lab = "local")]
    async fn unclosed_after_an_error(_: &First, _: &Unclosed) -> Result<(), Error> {
        Err(error("no route"))
    }

    #[otto::test(lab = "local")]
    async fn panics(_: &First, _: &PanicsLate) {}

    #[otto::test(lab = "local")]
    async fn skips(_: &First, _: &SkipsLate) {}

    #[otto::test(lab = "local", teardown = "800ms")]
    async fn slow(_: &First, _: &SlowToClose) {}

    #[otto::test(lab = "local", teardown = "400ms")]
    async fn blocks(_: &First, _: &BlocksLate) {}

    #[otto::test(lab = "local")]
    async fn waits(_: &First, _: &SlowToClose) {}
}

mod findings {
    use super::{OttoContext, Result, error};

    #[otto::test(lab = "local")]
    async fn checks(ctx: OttoContext) {
        assert!(!ctx.expect_that(1 + 1 == 3, "sums"));
        assert!(!ctx.expect_eq(2, 3, "the number of links"));
        assert!(ctx.expect_ok::<(), _>(Err(error("no route")), "the peer").is_none());
    }

    #[otto::test(lab = "local")]
    async fn checks_and_a_panic(ctx: OttoContext) {
        ctx.expect_that(false, "the fan turns");
        panic!("too hot");
    }

    #[otto::test(lab = "local")]
    async fn a_check_and_a_skip(ctx: OttoContext) {
        ctx.expect_that(false, "the fan turns");
        ctx.skip("no camera");
    }

    #[otto::test(lab = "local")]
    #[should_panic]
    async fn a_check_and_an_expected_panic(ctx: OttoContext) {
        ctx.expect_that(false, "the fan turns");
        panic!("as it should");
    }

    #[otto::test(lab = "local")]
    async fn attaches(ctx: OttoContext) -> Result<()> {
        let path = ctx.attach("../dump.txt", "all of it")?;
        eprintln!("attached {}", path.display());
        Err(error("no route"))
    }

    #[otto::test(lab = "local", timeout = "300ms")]
    async fn blocks_after_a_check(ctx: OttoContext) {
        ctx.expect_that(false, "the fan turns");
        std::thread::sleep(super::Duration::from_secs(60));
    }
}

/// Fixtures of the lab, and tests that share them.
mod shared {
    use super::{Arc, Error, FromContext, Host, LabFixture, OttoContext, Result, error};

    struct Image(Host);

    impl LabFixture for Image {
        type Error = Error;

        async fn open(ctx: &OttoContext) -> Result<Self> {
            eprintln!("made Image");
            let host = ctx.get_host("local")?;
            host.run("x=1").await?.ok()?;
            Ok(Self(host))
        }

        async fn close(&self) -> Result<()> {
            // The same shell, so its hosts were not closed with any test's.
            assert_eq!(self.0.run("echo $x").await?.only()?.ok()?.output, "1");
            eprintln!("closed Image");
            Ok(())
        }
    }

    struct User(Arc<Image>);

    impl FromContext for User {
        type Error = Error;

        async fn from_context(ctx: &OttoContext) -> Result<Self> {
            Ok(Self(Arc::from_context(ctx).await?))
        }
    }

    #[otto::test(lab = "local")]
    async fn a_uses(image: Arc<Image>) -> Result<()> {
        image.0.run("true").await?.ok()?;
        Ok(())
    }

    #[otto::test(lab = "local")]
    async fn b_panics(_: &Arc<Image>) {
        panic!("boom with the image");
    }

    #[otto::test(lab = "local")]
    async fn c_uses(ctx: OttoContext, image: Arc<Image>) {
        eprintln!("c_uses");
        let _ = (ctx, image);
    }

    #[otto::test(lab = "local")]
    async fn d_without() {
        eprintln!("d_without");
    }

    #[otto::test(lab = "local")]
    async fn nested(user: &User) -> Result<()> {
        user.0.0.run("true").await?.ok()?;
        Ok(())
    }

    #[otto::test(lab = "local")]
    async fn nested_too(_: &User) {}

    struct Unmade;

    impl LabFixture for Unmade {
        type Error = Error;

        async fn open(_: &OttoContext) -> Result<Self> {
            eprintln!("making Unmade");
            Err(error("the lab is dark"))
        }
    }

    #[otto::test(lab = "local")]
    async fn unmade(_: Arc<Unmade>) {}

    #[otto::test(lab = "local")]
    async fn unmade_too(_: Arc<Unmade>) {}

    struct Camera;

    impl LabFixture for Camera {
        type Error = Error;

        async fn open(ctx: &OttoContext) -> Result<Self> {
            ctx.skip("the lab has no camera")
        }
    }

    #[otto::test(lab = "local")]
    async fn no_camera(_: Arc<Camera>) {}

    struct Unclosed;

    impl LabFixture for Unclosed {
        type Error = Error;

        async fn open(_: &OttoContext) -> Result<Self> {
            Ok(Self)
        }

        async fn close(&self) -> Result<()> {
            Err(error("the relay is stuck"))
        }
    }

    #[otto::test(lab = "local")]
    async fn unclosed(_: Arc<Unclosed>) {}

    struct Waits;

    impl LabFixture for Waits {
        type Error = Error;

        async fn open(_: &OttoContext) -> Result<Self> {
            eprintln!("waiting");
            super::for_ever().await;
            Ok(Self)
        }
    }

    #[otto::test(lab = "local")]
    async fn waits(_: Arc<Waits>) {}

    #[otto::test(lab = "local")]
    async fn waits_with_it(_: Arc<Image>) {
        eprintln!("waiting");
        super::for_ever().await;
    }
}

otto::main!();
