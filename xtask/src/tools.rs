//! Running other programs: the error names the program, its exit status and the end of what it said.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use miette::{IntoDiagnostic, Result, WrapErr, miette};

use crate::workspace;

/// Lines of a failed program's output that an error repeats.
const TAIL_LINES: usize = 12;

/// The cargo that runs this, in the workspace.
pub(crate) fn cargo() -> Result<Command> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace::root()?);
    Ok(command)
}

/// Builds a program of this workspace with all optimisations, and says where it is.
pub(crate) fn built(package: &str) -> Result<PathBuf> {
    let mut build = cargo()?;
    build.args(["build", "--quiet", "--release", "--package", package]);
    output(&mut build).wrap_err_with(|| format!("{package} does not build"))?;
    Ok(workspace::cargo_target()?.join("release").join(package))
}

/// Runs a program to its end and returns its standard output; a failure carries what it said.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = run(command)?;
    if output.status.success() { Ok(output.stdout) } else { Err(failure(command, &output)) }
}

/// Runs a program to its end, whatever its exit status.
pub(crate) fn run(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).output().into_diagnostic().wrap_err_with(|| cannot_start(command))
}

/// The words for a program that could not be started.
pub(crate) fn cannot_start(command: &Command) -> String {
    format!("cannot start `{}`: is it installed and on the PATH?", command.get_program().to_string_lossy())
}

/// The error for a program that ran and failed.
pub(crate) fn failure(command: &Command, output: &Output) -> miette::Report {
    let said = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
    miette!(
        "`{}` ended with {}, success was expected\n{}",
        command.get_program().to_string_lossy(),
        output.status,
        tail(&String::from_utf8_lossy(said))
    )
}

/// An error and its causes in one line.
pub(crate) fn words(error: &miette::Report) -> String {
    error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The last lines of a text.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let skip = lines.len().saturating_sub(TAIL_LINES);
    lines.into_iter().skip(skip).collect::<Vec<_>>().join("\n")
}
