#[cfg_attr(a, cfg(b))]
#[::core::prelude::v1::test]
#[cfg_attr(windows, ignore = "no pty")]
#[cfg_attr(slow, ignore)]
fn boots() {
    ::otto::__private::run_under_libtest(::core::module_path!(), "boots")
}
#[cfg_attr(a, cfg(b))]
#[doc(hidden)]
const _: () = {
    #[cfg_attr(windows, allow(dead_code))]
    #[allow(clippy::unused_async)]
    async fn boots() {}
    ::otto::__private::inventory::submit! {
        ::otto::__private::TestCase { module : ::core::module_path!(), name : "boots",
        file : ::core::file!(), line : ::core::line!(), package :
        ::core::env!("CARGO_PKG_NAME"), labs : & ["bench"], hosts : & [], each_host :
        ::core::option::Option::None, tags : & [], timeout :
        ::core::option::Option::None, retries : ::core::option::Option::None, setup :
        ::core::option::Option::None, teardown : ::core::option::Option::None, ignore :
        if ::core::cfg!(windows) {
        ::core::option::Option::Some(::core::option::Option::Some("no pty")) } else { if
        ::core::cfg!(slow) { ::core::option::Option::Some(::core::option::Option::None) }
        else { ::core::option::Option::None } }, should_panic : if ::core::cfg!(debug) {
        ::core::option::Option::Some(::core::option::Option::Some("overflow")) } else {
        ::core::option::Option::None }, fixtures : const { & [] }, run : | made |
        ::std::boxed::Box::pin(async move { let _ =
        ::core::iter::IntoIterator::into_iter(made); let result = boots(). await; < () as
        ::otto::__private::TestResult > ::check(& result); { use
        ::otto::__private::returned:: *; (&& && && && Returned(& result)).outcome() } }),
        }
    }
};
