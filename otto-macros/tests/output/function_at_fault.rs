fn boots<T>(ctx: impl Lab) {}
::core::compile_error! {
    "the name of the lab is empty"
}
::core::compile_error! {
    "`#[tokio::test]` would make a second test of this function: `#[otto::test]` is enough"
}
::core::compile_error! {
    "an otto test waits for hosts: add `async` before `fn`"
}
::core::compile_error! {
    "a test cannot be generic: nothing would choose its types"
}
::core::compile_error! {
    "an argument is chosen by its type: name one, such as `OttoContext`"
}
