//! `vmig decode`: the state of a guest as JSON that can be changed.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::Outcome;
use crate::input::Input;
use crate::output::{write_json, write_to};

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
        write_to(self.output.as_deref(), |out| write_json(&state, out))?;
        Ok(ExitCode::SUCCESS)
    }
}
