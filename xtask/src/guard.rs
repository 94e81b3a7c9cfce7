//! `cargo xtask guard`: how many instructions the load and the save procedure take, against what is on record.
//!
//! A processor's time is never the same twice, but the instructions that valgrind counts are, but for a few. So what
//! makes the codec slower (an allocation for each field, a copy more) is seen where no clock would show it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use miette::{IntoDiagnostic, Result, WrapErr, miette};

use crate::{tools, workspace};

/// How much more there may be, in percent: compilers differ by less.
const MARGIN: f64 = 10.0;
const ROUNDS: u32 = 50;
/// The crates that the codec is, and how they are built: as for a release.
const CODEC: [&str; 2] = ["vmstate", "virtio"];
const OPTIMISED: [&str; 4] =
    ["opt-level=3", "codegen-units=1", "debug-assertions=false", "overflow-checks=false"];
/// What is counted, an argument of the example.
const PROCEDURES: [&str; 2] = ["load", "save"];
/// What is on record.
const RECORD: &str = "benches/instructions.json";

/// Count the instructions of the load and save procedures (valgrind), and compare with benches/instructions.json
///
/// All virtio sections of a recorded stream. Fails if one takes more than a tenth more than is on record.
#[derive(Debug, Args)]
pub(crate) struct Guard {
    /// Put what was counted on record
    #[arg(long)]
    write: bool,
}

impl Guard {
    /// Counts, prints and compares.
    pub(crate) fn run(&self) -> Result<()> {
        let program = example()?;
        let mut counted = BTreeMap::new();
        for procedure in PROCEDURES {
            let all = instructions(&program, procedure, ROUNDS)?;
            let before = instructions(&program, procedure, 0)?;
            counted.insert(procedure.to_owned(), all.saturating_sub(before) / u64::from(ROUNDS));
        }
        let record = workspace::root()?.join(RECORD);
        if self.write {
            let text = serde_json::to_string_pretty(&counted).into_diagnostic()?;
            return workspace::write(&record, text + "\n");
        }
        let recorded: BTreeMap<String, u64> =
            serde_json::from_slice(&workspace::read(&record)?).into_diagnostic().wrap_err(RECORD)?;
        let mut worse = Vec::new();
        for (procedure, counted) in counted {
            let recorded = *recorded.get(&procedure).ok_or_else(|| miette!("{RECORD} has no {procedure}"))?;
            let change = percent(counted, recorded);
            println!("{procedure}: {counted} instructions, {recorded} on record ({change:+.1} %)");
            if change > MARGIN {
                worse.push(procedure);
            }
        }
        if worse.is_empty() {
            return Ok(());
        }
        Err(miette!(
            help = "find what became slower; if it has to be so, `cargo xtask guard --write` and say why in the commit",
            "{} takes more than {MARGIN} % more instructions than is on record",
            worse.join(" and ")
        ))
    }
}

/// By how much a number is larger than another.
fn percent(counted: u64, recorded: u64) -> f64 {
    let of = |count| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    (of(counted) / of(recorded) - 1.0) * 100.0
}

/// The program that is counted, built first: with what the tests were built with, but for the codec itself.
fn example() -> Result<PathBuf> {
    let mut build = tools::cargo()?;
    build.args(["build", "--quiet", "--package", "virtio", "--example", "round_trip"]);
    for package in CODEC {
        for setting in OPTIMISED {
            build.args(["--config", &format!("profile.dev.package.{package}.{setting}")]);
        }
    }
    tools::output(&mut build).wrap_err("the example does not build")?;
    Ok(workspace::cargo_target()?.join("debug/examples/round_trip"))
}

/// How many instructions it takes.
fn instructions(program: &Path, procedure: &str, rounds: u32) -> Result<u64> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
    command.args([procedure, &rounds.to_string()]);
    let output = tools::run(&mut command)
        .wrap_err("instructions are counted by valgrind (Debian's package of that name)")?;
    if !output.status.success() {
        return Err(tools::failure(&command, &output));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    collected(&said).ok_or_else(|| miette!("valgrind did not say how many instructions it counted:\n{said}"))
}

/// What valgrind says at its end.
fn collected(said: &str) -> Option<u64> {
    said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_valgrind_says() {
        let said =
            "==7== Events    : Ir\n==7== Collected : 21483646\n==7==\n==7== I   refs:      21,483,646\n";
        assert_eq!(collected(said), Some(21_483_646));
        assert_eq!(collected("==7== nothing"), None);
        assert!(percent(111, 100) > MARGIN && percent(109, 100) < MARGIN);
    }
}
