struct Bench;
::core::compile_error! {
    "`#[otto::test]` belongs on an `async fn`"
}
