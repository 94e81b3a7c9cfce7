//! What the derive refuses, and what it says: `compile-fail/NAME.rs` and `compile-fail/NAME.stderr`.

#[test]
fn refuses() {
    trybuild::TestCases::new().compile_fail("tests/compile-fail/*.rs");
}
