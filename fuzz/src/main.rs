//! libFuzzer, with one of the targets: the one that `VMIG_FUZZ` names.
#![no_main]
#![expect(clippy::panic, reason = "libFuzzer's way to end")]

use std::sync::LazyLock;

use fuzz::Target;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("VMIG_FUZZ").unwrap_or_default();
    Target::named(&name).unwrap_or_else(|| panic!("VMIG_FUZZ is `{name}`, expected the name of a target"))
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (TARGET.run)(bytes));
