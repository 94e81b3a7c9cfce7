//! `cargo xtask faults`: something breaks while a running guest goes through `vmig relay`. Who runs the guest
//! then, and does it go on?
//!
//! A row of the table ([`table`]) is a mode, a moment and a fault. For each the guest is taken up where [`seed`]
//! left it, migrates with a pause at the moment, and the fault is brought about ([`row`]); the guest's own beats
//! and both QEMUs' words tell what came of it. [`document`] writes it all down.

mod damage;
mod document;
mod row;
mod seed;
mod table;

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use miette::{Result, miette};

use self::row::Seen;
use self::seed::Seed;
use self::table::Row;
use crate::qemu::Qemu;
use crate::{cases, guest, tools, vmig, workspace};

/// Break a migration through vmig in every way at every stage.
///
/// In every row one side runs the guest in the end, and it goes on without a gap and with all that it had
/// written; but for a guest whose own host was killed, which is lost with it. Needs `cargo xtask fetch` first. Two
/// guests run at the same time, emulated (TCG); a row takes 10 to 20 seconds.
#[derive(Debug, Args)]
pub(crate) struct Faults {
    /// Only this row; may be given again, and may end in * [default: every row]
    #[arg(long, value_name = "NAME")]
    row: Vec<String>,

    /// The machine, one of `cargo xtask interop --list`, of type q35
    #[arg(long, value_name = "NAME", default_value = "x86-q35-q10")]
    case: String,

    /// List the rows and stop
    #[arg(long)]
    list: bool,

    /// Write the table to docs/reliability.md, if all rows are as they should be
    #[arg(long, conflicts_with = "row")]
    write: bool,

    /// Keep the directories of rows that passed (those of rows that failed are kept anyway)
    #[arg(long)]
    keep: bool,

    /// The vmig to use [default: the one of this workspace, built first]
    #[arg(long, value_name = "FILE")]
    vmig: Option<PathBuf>,
}

impl Faults {
    /// Runs the chosen rows; an error unless all are as they should be.
    pub(crate) fn run(&self) -> Result<()> {
        let rows = table::chosen(&self.row)?;
        if self.list {
            for row in rows {
                println!("{:32} {}, {}", row.name(), row.moment.words(), row.fault.words());
            }
            return Ok(());
        }
        let chosen = cases::chosen(std::slice::from_ref(&self.case))?;
        let [case] = chosen.as_slice() else { return Err(miette!("one case was expected")) };
        guest::present(case.arch())?;
        let (from, to) = (Qemu::find(case.from, case.arch())?, Qemu::find(case.to, case.arch())?);
        let program = vmig::program(self.vmig.as_deref())?;
        let dir = workspace::target()?.join("faults");
        let seed = Seed::grow(case, &dir.join("seed"), &from)?;

        let mut all: Vec<(&Row, Seen)> = Vec::new();
        let mut failed = 0;
        for row in &rows {
            let start = Instant::now();
            let place = dir.join(row.name());
            let seen = row::run(row, &seed, &place, [&from, &to], &program);
            let seconds = start.elapsed().as_secs();
            match seen {
                Ok(seen) => {
                    println!("passed  {:32} {seen} ({seconds} s)", row.name());
                    if !self.keep {
                        // What stays behind is in the way of nothing: the next run empties it.
                        drop(std::fs::remove_dir_all(&place));
                    }
                    all.push((row, seen));
                }
                Err(error) => {
                    failed += 1;
                    let words = tools::words(&error);
                    println!("FAILED  {:32} {words} in {} ({seconds} s)", row.name(), place.display());
                }
            }
        }
        println!("{} passed, {failed} failed", all.len());
        if failed > 0 {
            return Err(miette!("{failed} rows are not as they should be (reasons above)"));
        }
        if !self.keep {
            drop(std::fs::remove_dir_all(dir.join("seed")));
        }
        if self.write {
            document::write(&all, &from, &to)?;
        }
        Ok(())
    }
}
