//! `vmig inspect`, against QEMU's analyser script and against `cat`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use clap::Args;
use miette::{IntoDiagnostic, Result, WrapErr};
use tempfile::TempDir;

use super::measured::{Measured, Row, median};
use super::ours;
use crate::{tools, vmig};

const ROUNDS: usize = 5;

#[derive(Debug, Args)]
pub(super) struct InspectOptions {
    /// QEMU's scripts/analyze-migration.py, of its source; without it `inspect` is compared with `cat` alone
    #[arg(long, value_name = "FILE")]
    analyser: Option<PathBuf>,
}

impl InspectOptions {
    pub(super) fn measure(&self, vmig: Option<&Path>, say: &mut dyn FnMut(Measured)) -> Result<()> {
        let vmig = vmig::program(vmig)?;
        if self.analyser.is_none() {
            eprintln!("inspect is not compared with QEMU's analyser: name it with --analyser FILE");
        }
        let place = TempDir::with_prefix("vmig-bench-").into_diagnostic()?;
        for sample in ours::samples(place.path())? {
            let file = &sample.file;
            let mut contestants =
                vec![command(&vmig, &["inspect"], file), command(Path::new("cat"), &[], file)];
            if let Some(analyser) = &self.analyser {
                let analyser = analyser.to_string_lossy();
                contestants.push(command(Path::new("python3"), &[&analyser, "-f"], file));
            }
            let mut times = vec![Vec::new(); contestants.len()];
            for round in 0..=ROUNDS {
                for (command, times) in contestants.iter_mut().zip(&mut times) {
                    let took = seconds(command)?;
                    if round > 0 {
                        times.push(took);
                    }
                }
            }
            let medians: Vec<f64> = times.into_iter().map(median).collect();
            let what = format!("`vmig inspect` of {}", sample.what);
            let reading = sample.is_read_through.then_some(2.0);
            let peers = [("`cat FILE`", reading), ("`analyze-migration.py`", Some(0.02))];
            let [ours, theirs @ ..] = medians.as_slice() else { continue };
            for ((against, aim), theirs) in peers.into_iter().zip(theirs) {
                let row = Row::new("inspect", &what, against, ours / theirs);
                say(Measured::Row(Row { aim, ..row }));
            }
        }
        Ok(())
    }
}

fn command(program: &Path, arguments: &[&str], file: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// How long a program takes from its start to its end.
fn seconds(command: &mut Command) -> Result<f64> {
    let started = Instant::now();
    let output = command.output().into_diagnostic().wrap_err_with(|| tools::cannot_start(command))?;
    if output.status.success() {
        return Ok(started.elapsed().as_secs_f64());
    }
    Err(tools::failure(command, &output))
}
