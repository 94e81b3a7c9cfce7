//! Documents for people: a tree, with colour on a terminal.

pub(crate) mod device;
pub(crate) mod explain;
pub(crate) mod schema;
pub(crate) mod state;
pub(crate) mod stream;
pub(crate) mod style;

use std::io::{self, Write};

use report::Document;

/// Writes the whole document.
pub(crate) fn document(document: &Document, out: &mut dyn Write) -> io::Result<()> {
    stream::stream(document, out)?;
    for device in &document.devices {
        writeln!(out)?;
        device::device(device, out)?;
    }
    stream::sections(document, out)
}
