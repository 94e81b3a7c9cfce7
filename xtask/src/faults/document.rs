//! `docs/reliability.md`: the table between two comments is what was seen; the rest is written by hand.

use std::fmt::Write as _;

use miette::{IntoDiagnostic, Result, miette};

use super::row::Seen;
use super::table::Row;
use crate::qemu::Qemu;
use crate::workspace;

/// The comments that the table is between.
const BEGIN: &str = "<!-- faults: begin (cargo xtask faults --write) -->\n";
const END: &str = "<!-- faults: end -->";

/// Puts what was seen into the document.
pub(super) fn write(all: &[(&Row, Seen)], from: &Qemu, to: &Qemu) -> Result<()> {
    let path = workspace::root()?.join("docs/reliability.md");
    let text = String::from_utf8(workspace::read(&path)?).into_diagnostic()?;
    let table = table(all, from, to).into_diagnostic()?;
    workspace::write(&path, replaced(&text, &table)?)?;
    println!("written to {}", path.display());
    Ok(())
}

fn replaced(text: &str, table: &str) -> Result<String> {
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) =
        parts.ok_or_else(|| miette!("docs/reliability.md was expected to have {BEGIN}{END}"))?;
    Ok(format!("{before}{BEGIN}{table}{END}{after}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_comments_is_replaced() {
        let text = format!("before\n{BEGIN}old\n{END}\nafter\n");
        assert_eq!(replaced(&text, "new\n").unwrap(), format!("before\n{BEGIN}new\n{END}\nafter\n"));
        assert!(replaced("no comments", "new\n").is_err());
    }
}
