//! What the program in `benches/` measures.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use miette::{IntoDiagnostic, Result, WrapErr, miette};

use super::Area;
use super::measured::{Measured, Moved, Sample};
use crate::tools;

/// The program, built first.
pub(super) fn program() -> Result<PathBuf> {
    tools::built("benches")
}

/// Measures areas, each measurement as it comes.
pub(super) fn measure(areas: &[&Area], say: &mut dyn FnMut(Measured)) -> Result<()> {
    let mut command = Command::new(program()?);
    command.args(areas.iter().map(|area| area.name())).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().into_diagnostic().wrap_err_with(|| tools::cannot_start(&command))?;
    let output = child.stdout.take().ok_or_else(|| miette!("it has no standard output"))?;
    for line in BufReader::new(output).lines() {
        say(serde_json::from_str(&line.into_diagnostic()?).into_diagnostic()?);
    }
    let status = child.wait().into_diagnostic()?;
    if status.success() { Ok(()) } else { Err(miette!("the measurements ended with {status}")) }
}

/// Moves a machine with this RAM over a channel of this host, once.
pub(super) fn moved(program: &Path, ram: &Path, channel: &str) -> Result<Moved> {
    let said = tools::output(Command::new(program).arg("--moved").arg(ram).args(["--over", channel]))?;
    serde_json::from_slice(&said).into_diagnostic()
}

/// Makes streams in a directory.
pub(super) fn samples(dir: &Path) -> Result<Vec<Sample>> {
    let said = tools::output(Command::new(program()?).arg("--samples").arg(dir))?;
    serde_json::from_slice(&said).into_diagnostic()
}
