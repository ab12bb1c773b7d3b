#[cfg(unix)]
/// Converges.
#[::core::prelude::v1::test]
#[ignore = "slow"]
pub fn r#match() {
    ::otto::__private::run_under_libtest(::core::module_path!(), "match")
}
#[cfg(unix)]
#[doc(hidden)]
const _: () = {
    /// Converges.
    #[tracing::instrument]
    #[allow(clippy::unused_async)]
    async fn r#match(first: OttoContext, second: &OttoContext) -> otto::Result<()> {
        first.get_host("router1")?.run(command).await?.ok()
    }
    ::otto::__private::inventory::submit! {
        ::otto::__private::TestCase { module : ::core::module_path!(), name : "match",
        file : ::core::file!(), line : ::core::line!(), package :
        ::core::env!("CARGO_PKG_NAME"), labs : & ["rack1", "rack1+rack2"], hosts : & [],
        each_host : ::core::option::Option::None, tags : & [], timeout :
        ::core::option::Option::Some(::core::time::Duration::from_millis(90000u64)),
        retries : ::core::option::Option::None, setup : ::core::option::Option::None,
        teardown : ::core::option::Option::None, ignore :
        ::core::option::Option::Some(::core::option::Option::Some("slow")), should_panic
        : ::core::option::Option::Some(::core::option::Option::Some("no route")),
        fixtures : const { & [::otto::__private::Fixture::of:: < OttoContext > (),
        ::otto::__private::Fixture::of:: < OttoContext > ()] }, run : | made |
        ::std::boxed::Box::pin(async move { let mut made =
        ::core::iter::IntoIterator::into_iter(made); let result =
        r#match(::otto::__private::by_value:: < OttoContext >
        (::core::iter::Iterator::next(& mut made)), ::otto::__private::by_ref:: <
        OttoContext > (::core::iter::Iterator::next(& mut made))). await; < otto::Result
        < () > as ::otto::__private::TestResult > ::check(& result); { use
        ::otto::__private::returned:: *; (&& && && && Returned(& result)).outcome() } }),
        }
    }
};
