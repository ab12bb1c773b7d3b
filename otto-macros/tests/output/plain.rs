#[::core::prelude::v1::test]
fn boots() {
    ::otto::__private::run_under_libtest(::core::module_path!(), "boots")
}
#[doc(hidden)]
const _: () = {
    #[allow(clippy::unused_async)]
    async fn boots() {}
    ::otto::__private::inventory::submit! {
        ::otto::__private::TestCase { module : ::core::module_path!(), name : "boots",
        file : ::core::file!(), line : ::core::line!(), package :
        ::core::env!("CARGO_PKG_NAME"), labs : & [], hosts : & [], each_host :
        ::core::option::Option::None, tags : & [], timeout :
        ::core::option::Option::None, retries : ::core::option::Option::None, setup :
        ::core::option::Option::None, teardown : ::core::option::Option::None, ignore :
        ::core::option::Option::None, should_panic : ::core::option::Option::None,
        fixtures : const { & [] }, run : | made | ::std::boxed::Box::pin(async move { let
        _ = ::core::iter::IntoIterator::into_iter(made); let result = boots(). await; <
        () as ::otto::__private::TestResult > ::check(& result); { use
        ::otto::__private::returned:: *; (&& && && && Returned(& result)).outcome() } }),
        }
    }
};
