#[::core::prelude::v1::test]
#[ignore]
fn boots() {
    crate::labs::harness::__private::run_under_libtest(::core::module_path!(), "boots")
}
#[doc(hidden)]
const _: () = {
    #[allow(clippy::unused_async)]
    async fn boots(ctx: &OttoContext) -> Result<(), String> {}
    crate::labs::harness::__private::inventory::submit! {
        crate ::labs::harness::__private::TestCase { module : ::core::module_path!(),
        name : "boots", file : ::core::file!(), line : ::core::line!(), package :
        ::core::env!("CARGO_PKG_NAME"), labs : & ["bench"], hosts : & [], each_host :
        ::core::option::Option::None, tags : & [], timeout :
        ::core::option::Option::Some(::core::time::Duration::from_millis(5000u64)),
        retries : ::core::option::Option::None, setup : ::core::option::Option::None,
        teardown : ::core::option::Option::None, ignore :
        ::core::option::Option::Some(::core::option::Option::None), should_panic :
        ::core::option::Option::None, fixtures : const { & [crate
        ::labs::harness::__private::Fixture::of:: < OttoContext > ()] }, run : | made |
        ::std::boxed::Box::pin(async move { let mut made =
        ::core::iter::IntoIterator::into_iter(made); let result = boots(crate
        ::labs::harness::__private::by_ref:: < OttoContext >
        (::core::iter::Iterator::next(& mut made))). await; < Result < (), String > as
        crate ::labs::harness::__private::TestResult > ::check(& result); { use crate
        ::labs::harness::__private::returned:: *; (&& && && && Returned(& result))
        .outcome() } }), }
    }
};
