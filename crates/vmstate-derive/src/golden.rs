//! What structs expand to: `tests/golden/NAME.rs` is a struct, `tests/golden/NAME.snap` its expansion.

use syn::parse_str;

#[track_caller]
fn golden(name: &str, source: &str) {
    let expansion = super::expand(&parse_str(source).unwrap()).unwrap();
    let file = syn::parse2(expansion).unwrap();
    insta::with_settings!({
        snapshot_path => "../tests/golden",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(name, prettyplease::unparse(&file));
    });
}

#[test]
fn plain() {
    golden("plain", include_str!("../tests/golden/plain.rs"));
}

#[test]
fn fields() {
    golden("fields", include_str!("../tests/golden/fields.rs"));
}

#[test]
fn subsections() {
    golden("subsections", include_str!("../tests/golden/subsections.rs"));
}
