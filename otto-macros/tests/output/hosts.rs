#[::core::prelude::v1::test]
fn forwards() {
    ::otto::__private::run_under_libtest(::core::module_path!(), "forwards")
}
#[doc(hidden)]
const _: () = {
    #[allow(clippy::unused_async)]
    async fn forwards(ctx: OttoContext, host: Host) {}
    ::otto::__private::inventory::submit! {
        ::otto::__private::TestCase { module : ::core::module_path!(), name : "forwards",
        file : ::core::file!(), line : ::core::line!(), package :
        ::core::env!("CARGO_PKG_NAME"), labs : & ["bench"], hosts : &
        [::otto::__private::HostUse { name : ::core::option::Option::None, pattern :
        "switch1", shared : false }, ::otto::__private::HostUse { name :
        ::core::option::Option::Some("type"), pattern : "tag:arch=arm", shared : false },
        ::otto::__private::HostUse { name : ::core::option::Option::Some("gw"), pattern :
        "gw1", shared : true }, ::otto::__private::HostUse { name :
        ::core::option::Option::None, pattern : "dns1", shared : true }], each_host :
        ::core::option::Option::Some(::otto::__private::HostUse { name :
        ::core::option::Option::None, pattern : "router.*", shared : false }), tags : &
        ["smoke", "bgp"], timeout : ::core::option::Option::None, retries :
        ::core::option::Option::Some(2u32), setup : ::core::option::Option::None,
        teardown : ::core::option::Option::None, ignore : ::core::option::Option::None,
        should_panic : ::core::option::Option::None, fixtures : const { &
        [::otto::__private::Fixture::of:: < OttoContext > (),
        ::otto::__private::Fixture::of:: < Host > ()] }, run : | made |
        ::std::boxed::Box::pin(async move { let mut made =
        ::core::iter::IntoIterator::into_iter(made); let result =
        forwards(::otto::__private::by_value:: < OttoContext >
        (::core::iter::Iterator::next(& mut made)), ::otto::__private::by_value:: < Host
        > (::core::iter::Iterator::next(& mut made))). await; < () as
        ::otto::__private::TestResult > ::check(& result); { use
        ::otto::__private::returned:: *; (&& && && && Returned(& result)).outcome() } }),
        }
    }
};
