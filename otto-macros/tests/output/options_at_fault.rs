#[::core::prelude::v1::test]
fn boots() {
    ::otto::__private::run_under_libtest(::core::module_path!(), "boots")
}
#[doc(hidden)]
const _: () = {
    #[allow(clippy::unused_async)]
    async fn boots(ctx: OttoContext) {}
    ::otto::__private::inventory::submit! {
        ::otto::__private::TestCase { module : ::core::module_path!(), name : "boots",
        file : ::core::file!(), line : ::core::line!(), package :
        ::core::env!("CARGO_PKG_NAME"), labs : & [], hosts : & [], each_host :
        ::core::option::Option::None, tags : & [], timeout :
        ::core::option::Option::None, retries : ::core::option::Option::None, setup :
        ::core::option::Option::None, teardown : ::core::option::Option::None, ignore :
        ::core::option::Option::None, should_panic : ::core::option::Option::None,
        fixtures : const { & [::otto::__private::Fixture::of:: < OttoContext > ()] }, run
        : | made | ::std::boxed::Box::pin(async move { let mut made =
        ::core::iter::IntoIterator::into_iter(made); let result =
        boots(::otto::__private::by_value:: < OttoContext >
        (::core::iter::Iterator::next(& mut made))). await; < () as
        ::otto::__private::TestResult > ::check(& result); { use
        ::otto::__private::returned:: *; (&& && && && Returned(& result)).outcome() } }),
        }
    }
};
::core::compile_error! {
    "expected the name of one lab in quotes: `lab = \"bench\"`"
}
::core::compile_error! {
    "`soon` is no duration: write it as \"90s\", \"1m30s\" or \"250ms\""
}
::core::compile_error! {
    "unknown option `colour`: the options are `crate`, `each_host`, `hosts`, `lab`, `labs`, `retries`, `setup`, `shared`, `tags`, `teardown`, `timeout`"
}
