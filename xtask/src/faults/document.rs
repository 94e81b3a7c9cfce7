//! The table of `docs/reliability.md`.

use std::fmt::Write as _;

use miette::{IntoDiagnostic, Result};

use super::row::Seen;
use super::table::Row;
use crate::document;
use crate::qemu::Qemu;

/// The document that the table is in.
const DOCUMENT: &str = "docs/reliability.md";

/// Puts what was seen into the document.
pub(super) fn write(all: &[(&Row, Seen)], from: &Qemu, to: &Qemu) -> Result<()> {
    let table = table(all, from, to).into_diagnostic()?;
    document::put(DOCUMENT, "faults", "cargo xtask faults --write", &table)?;
    println!("written to {DOCUMENT}");
    Ok(())
}

fn table(all: &[(&Row, Seen)], from: &Qemu, to: &Qemu) -> Result<String, std::fmt::Error> {
    let mut table = String::new();
    let (count, from, to) = (all.len(), from.version(), to.version());
    writeln!(table, "{count} rows, QEMU {from} to QEMU {to}.\n")?;
    writeln!(table, "| mode | stage | fault | who runs the guest then | vmig |")?;
    writeln!(table, "| --- | --- | --- | --- | --- |")?;
    for (row, seen) in all {
        let (mode, moment, fault) = (row.mode.name(), row.moment.words(), row.fault.words());
        writeln!(table, "| {mode} | {moment} | {fault} | {} | {} |", seen.runs.words(), seen.vmig)?;
    }
    Ok(table)
}
