//! The tables of `docs/performance.md`.

use std::fmt::Write as _;

use miette::{IntoDiagnostic, Result};

use super::Area;
use super::measured::{Measured, Row};
use super::plot::plot;
use crate::{document, workspace};

/// The document that the tables are in.
const DOCUMENT: &str = "docs/performance.md";
/// The directory of the plots.
const PLOTS: &str = "docs/plots";

/// Puts what was measured into the document, and the plots beside it.
pub(super) fn write(areas: &[Area], all: &[Measured]) -> Result<()> {
    for area in areas.iter().map(|area| area.name()) {
        let rows = all.iter().filter_map(|measured| match measured {
            Measured::Row(row) if row.area == area => Some(row),
            _ => None,
        });
        let table = table(rows).into_diagnostic()?;
        document::put(DOCUMENT, &area, "cargo xtask bench --write", &table)?;
    }
    let plots = workspace::root()?.join(PLOTS);
    workspace::create_dir(&plots)?;
    for measured in all {
        if let Measured::Curve(curve) = measured {
            workspace::write(&plots.join(format!("{}.svg", curve.name)), plot(curve)?)?;
        }
    }
    eprintln!("written to {DOCUMENT} and {PLOTS}");
    Ok(())
}

fn table<'a>(rows: impl Iterator<Item = &'a Row>) -> Result<String, std::fmt::Error> {
    let mut table = String::new();
    writeln!(table, "| what | compared with | ratio | aim | |")?;
    writeln!(table, "| --- | --- | --- | --- | --- |")?;
    for row in rows {
        let Row { what, against, ratio, note, .. } = row;
        writeln!(table, "| {what} | {against} | {ratio:.2} | {} | {note} |", row.against_aim())?;
    }
    Ok(table)
}
