//! One test for each thing that `#[otto::test]` accepts. The built-in lab `local` is always there.

mod fixtures;

use std::fmt;
use std::rc::Rc;

use otto::OttoContext;

/// A doc comment.
#[otto::test(lab = "local")]
async fn without_arguments() {}

#[otto::test(lab = "local")]
async fn with_a_context(ctx: OttoContext) {
    let _owned = ctx;
}

#[otto::test(lab = "local", timeout = "1m30s")]
async fn with_a_borrowed_context(ctx: &OttoContext) -> otto::Result<()> {
    let _held_across_an_await = Rc::new(ctx);
    tokio::task::yield_now().await;
    Ok(())
}

#[otto::test(labs = ["local"],)]
async fn with_several(mut first: OttoContext, second: &OttoContext, _: OttoContext) {
    first.clone_from(second);
    let _owned = first;
}

#[otto::test(lab = "local")]
async fn r#match(_ctx: OttoContext) {}

#[cfg(any())]
#[otto::test(lab = "no such lab")]
async fn left_out(_: NoSuchType) {}

#[otto::test(lab = "local")]
#[cfg(any())]
async fn left_out_below(_: NoSuchType) {}

#[otto::test(lab = "local")]
#[ignore = "to see that it does not run"]
async fn ignored() {
    panic!("ignored tests do not run");
}

#[otto::test(lab = "local")]
#[cfg_attr(all(), ignore = "to see that it does not run")]
#[cfg_attr(any(), should_panic)]
async fn ignored_under_a_condition() {
    panic!("ignored tests do not run");
}

#[otto::test(lab = "local")]
#[should_panic]
async fn panics() {
    panic!("anything");
}

#[otto::test(lab = "local")]
#[should_panic(expected = "no carrier")]
async fn panics_as_expected() {
    panic!("port 3: no carrier");
}

#[otto::test(lab = "local")]
#[should_panic = "no carrier"]
async fn panics_as_expected_in_short() {
    panic!("port 3: no carrier");
}

mod results {
    use super::fmt;

    #[derive(Debug)]
    struct OnlyDebug;

    struct OnlyDisplay;

    impl fmt::Display for OnlyDisplay {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("only display")
        }
    }

    #[otto::test(lab = "local")]
    async fn otto_error() -> otto::Result<()> {
        Ok(())
    }

    #[otto::test(lab = "local")]
    async fn boxed() -> Result<(), Box<dyn std::error::Error>> {
        let _: u32 = "1".parse()?;
        Ok(())
    }

    #[otto::test(lab = "local")]
    async fn debug() -> Result<(), OnlyDebug> {
        if cfg!(any()) { Err(OnlyDebug) } else { Ok(()) }
    }

    #[otto::test(lab = "local")]
    async fn display() -> Result<(), OnlyDisplay> {
        if cfg!(any()) { Err(OnlyDisplay) } else { Ok(()) }
    }

    #[otto::test(lab = "local")]
    async fn opaque() -> Result<(), impl fmt::Debug> {
        Ok::<_, u8>(())
    }
}

mod elsewhere {
    pub(super) mod reexport {
        pub(crate) use otto as harness;
    }

    #[otto_test(crate = super::elsewhere::reexport::harness, lab = "local")]
    async fn by_path(_: &super::OttoContext) {}

    #[otto_test(crate = "super::elsewhere::reexport::harness", lab = "local")]
    async fn by_text() {}

    use otto::test as otto_test;
}

macro_rules! boots {
    ($name:ident, $lab:literal, $limit:expr) => {
        #[otto::test(lab = $lab, timeout = $limit)]
        async fn $name(ctx: OttoContext) {
            let _owned = ctx;
        }
    };
}

boots!(by_a_macro, "local", "5s");

mod cases {
    use otto::OttoContext;
    use rstest::rstest;

    #[rstest]
    #[case::small(1)]
    #[case(2)]
    #[otto::test(lab = "local")]
    async fn with_values(#[case] n: u32) -> Result<(), String> {
        if n < 3 { Ok(()) } else { Err(format!("{n}")) }
    }

    #[rstest]
    #[case::small(1)]
    #[case(2)]
    #[should_panic(expected = "more than 2")]
    #[case::large(3)]
    #[otto::test(lab = "local")]
    async fn with_a_context(#[ignore] ctx: &OttoContext, #[case] n: u32) {
        let _ = ctx.clone();
        assert!(n < 3, "more than 2");
    }
}

#[otto::test(lab = "local", each_host = "loc.*", tags("smoke", "bgp"), retries = 0)]
async fn on_each_host(host: otto::Host, ctx: OttoContext) {
    assert_eq!(host.id(), "local");
    assert_eq!(ctx.all_hosts().len(), 1);
}

#[otto::test(lab = "local", hosts(dut = "local", "local:shared"), retries = 1, crate = otto)]
async fn with_a_bound_name(ctx: &OttoContext) -> otto::Result<()> {
    assert_eq!(ctx.host("dut")?.id(), "local");
    Ok(())
}

#[otto::test(labs = ["local"], shared("local"))]
async fn with_a_shared_host() {}
