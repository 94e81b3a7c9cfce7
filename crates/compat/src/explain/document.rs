//! All pages as one document in Markdown: `docs/codes.md`.

use std::fmt::Write;

use super::{Page, pages};

const HEAD: &str = "\
# Codes of errors and findings

Made from the pages of `vmig explain CODE`; a test finds it when it is out of date. A code never changes its
meaning. `vmig explain` also takes lines that QEMU printed.

| codes | what they are about |
| --- | --- |
| VM00xx | the input as a whole |
| VM01xx | structures inside the stream |
| VM03xx | the virtio core and its transport |
| VM04xx | device types |
| VM05xx | sections beside a device's own |
| VM06xx | why a stream does not load on a destination |
";

/// The document.
#[must_use]
pub fn document() -> String {
    let mut text = HEAD.to_owned();
    for Page { code, title, meaning, cause, qemu, remedy, example } in pages() {
        // Writing to a string does not fail.
        let _ = write!(text, "\n## {code}: {title}\n\n{meaning}\n\n- **Cause:** {cause}\n");
        if !qemu.is_empty() {
            let _ = writeln!(text, "- **QEMU says:** `{qemu}`");
        }
        let _ = writeln!(text, "- **Remedy:** {remedy}\n\n```\n{example}\n```");
    }
    text
}
