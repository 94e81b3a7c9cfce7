//! `vmig decode`: the state of a guest as JSON that can be changed.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{Outcome, stdout};
use crate::input::Input;
use crate::output::write_file;

/// Write all state in a stream as JSON, for `vmig encode` to put back
///
/// Everything but RAM: virtio devices typed, other sections by the stream's description, and what nothing
/// describes as raw bytes in hexadecimal.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vmig decode guest.mig -o state.json
  vmig decode guest.mig | jq '.sections[] | select(.name == \"globalstate\")'
  vmig encode state.json --ram guest.mig -o again.mig

Exit status:
  0  the state was written
  2  the stream could not be read, or nothing could be written")]
pub(crate) struct Decode {
    /// The stream; `-` for standard input
    file: String,
    /// Where to write the JSON; standard output if it is not given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Decode {
    pub(crate) fn run(&self) -> Outcome {
        let state = Input::open_whole(&self.file)?.state();
        let write = |out: &mut dyn Write| -> std::io::Result<()> {
            serde_json::to_writer_pretty(&mut *out, &state)?;
            writeln!(out)
        };
        match &self.output {
            Some(path) => write_file(path, write)?,
            None => write(&mut std::io::stdout().lock()).map_err(stdout)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
