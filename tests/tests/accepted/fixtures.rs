//! Fixtures as arguments, in each way that a test can take them.

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use otto::prelude::*;

/// Neither `Send` nor `Clone`, and never closed.
pub(crate) struct Plain(Rc<str>);

impl FromContext for Plain {
    type Error = Infallible;

    async fn from_context(ctx: &OttoContext) -> Result<Self, Infallible> {
        tokio::task::yield_now().await;
        Ok(Self(ctx.lab().name().into()))
    }
}

#[derive(Clone)]
struct Handle(Rc<Plain>);

impl FromContext for Handle {
    type Error = String;

    async fn from_context(ctx: &OttoContext) -> Result<Self, String> {
        let plain = Plain::from_context(ctx).await.map_err(|never| never.to_string())?;
        Ok(Self(Rc::new(plain)))
    }

    async fn close(self) -> Result<(), String> {
        if Rc::strong_count(&self.0) == 1 { Ok(()) } else { Err("the test's clone is still there".to_owned()) }
    }
}

struct Counter(AtomicU32);

impl LabFixture for Counter {
    type Error = Box<dyn std::error::Error + Send + Sync>;

    async fn open(ctx: &OttoContext) -> Result<Self, Self::Error> {
        assert_eq!(ctx.lab().name(), "local");
        Ok(Self(AtomicU32::new(0)))
    }
}

#[otto::test(lab = "local")]
async fn by_reference(plain: &Plain) {
    assert_eq!(&*plain.0, "local");
}

#[otto::test(lab = "local", setup = "20s", teardown = "5s")]
async fn in_each_way(first: &mut Plain, ctx: OttoContext, handle: Handle, second: &mut Plain, _: &OttoContext) {
    first.0 = "changed".into();
    std::mem::swap(first, second);
    assert_eq!((&*first.0, &*second.0), ("local", "changed"));
    assert_eq!(&*handle.0.0, ctx.lab().name());
    tokio::task::yield_now().await;
}

#[otto::test(lab = "local")]
async fn of_a_lab(ctx: &OttoContext, counter: Arc<Counter>, same: &Arc<Counter>) -> otto::Result<()> {
    assert!(Arc::ptr_eq(&counter, same));
    assert!(Arc::ptr_eq(&counter, &Arc::<Counter>::from_context(ctx).await?));
    counter.0.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

macro_rules! takes {
    ($name:ident, $ty:ty) => {
        #[otto::test(lab = "local")]
        async fn $name(it: $ty) {
            let _ = it;
        }
    };
}

takes!(by_a_macro, &super::fixtures::Plain);

mod cases {
    use super::Plain;
    use rstest::rstest;

    #[rstest]
    #[case(5)]
    #[otto::test(lab = "local")]
    async fn with_a_fixture(#[ignore] plain: &Plain, #[case] letters: usize) {
        assert_eq!(plain.0.len(), letters);
    }
}

#[otto::test(lab = "local")]
async fn checks_that_hold(ctx: OttoContext) {
    assert!(ctx.expect_that(true, "always"));
    assert!(ctx.expect_eq("a".to_owned(), "a", "text"));
    assert_eq!(ctx.expect_ok::<_, otto::Error>(Ok(3), "a number"), Some(3));
}

#[otto::test(lab = "local")]
#[should_panic(expected = "is no panic")]
async fn a_skip_of_one_that_should_panic(ctx: OttoContext) {
    ctx.skip("to see that this is no panic");
}

#[otto::test(lab = "local")]
async fn a_skip_in_a_task(ctx: OttoContext) -> otto::Result<()> {
    async fn helper(ctx: OttoContext) -> u32 {
        ctx.skip("to see that it ends the test from there")
    }
    let _: u32 = tokio::spawn(helper(ctx)).await.unwrap();
    panic!("it goes on");
}
