//! All pages as one document in Markdown: `docs/codes.md`.

use std::fmt::Write;

use super::{Page, pages};
use crate::defect::{self, Defect};

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

const DEFECTS: &str = "
## Known defects of QEMU releases

What `vmig check` cites and `vmig explain --defects` lists.
";

/// The document.
#[must_use]
pub fn document() -> String {
    let mut text = HEAD.to_owned();
    for page in pages() {
        let Page { code, title, meaning, cause, qemu, remedy, example } = page;
        // Writing to a string does not fail.
        let _ = write!(text, "\n## {code}: {title}\n\n{meaning}\n\n- **Cause:** {cause}\n");
        if !qemu.is_empty() {
            let _ = writeln!(text, "- **QEMU says:** `{qemu}`");
        }
        for Defect { name, releases, .. } in page.defects() {
            let _ = writeln!(text, "- **Known defect:** [{name}](#{name}), of QEMU {releases}");
        }
        let _ = writeln!(text, "- **Remedy:** {remedy}\n\n```\n{example}\n```");
    }
    text.push_str(DEFECTS);
    for Defect { name, releases, what, remedy, source, codes, repair } in defect::ALL {
        let codes: Vec<_> = codes.iter().map(ToString::to_string).collect();
        let repair = if repair.is_some() { "; `vmig edit --repair` mends it" } else { "" };
        let _ = write!(
            text,
            "\n### {name}\n\n{what}\n\n- **Releases:** {releases}\n- **Codes:** {}{repair}\n",
            codes.join(", ")
        );
        let _ = writeln!(text, "- **Remedy:** {remedy}\n- **Known from:** {source}");
    }
    text
}
