//! Signals to a child process, by its id: it has not been collected yet, so the id is its own.

use std::process::Child;

use miette::{IntoDiagnostic, Result, miette};
use rustix::process::{Pid, Signal, kill_process};

/// Sends a signal to a child that runs.
pub(crate) fn send(child: &Child, signal: Signal) -> Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| miette!("{} is no process id", child.id()))?;
    kill_process(pid, signal).into_diagnostic()
}
