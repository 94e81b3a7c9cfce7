//! `vmig encode`: JSON state and RAM, put together to a stream.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use compat::edit::EditError;
use compat::state::State;

use super::{Failure, Outcome};
use crate::input::Input;
use crate::output::write_stream;

/// Put the JSON of `vmig decode` back into the stream it came from
///
/// Unchanged JSON gives the same bytes. A section that the JSON lacks is left out; the stream's description
/// is kept up.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vmig decode guest.mig -o state.json
  vmig encode state.json --ram guest.mig -o again.mig

Exit status:
  0  the stream was written
  2  the JSON is not state of that stream, or nothing could be written")]
pub(crate) struct Encode {
    /// The state, as `vmig decode` writes it
    state: PathBuf,
    /// The stream that the state was taken from: it has the RAM
    #[arg(long, value_name = "FILE")]
    ram: String,
    /// Where to write the stream
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

impl Encode {
    pub(crate) fn run(&self) -> Outcome {
        let file = self.state.display().to_string();
        let wrong = |error: String| Failure::State { file: file.clone(), error };
        let text = fs::read(&self.state).map_err(|error| wrong(error.to_string()))?;
        let state: State = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        let input = Input::open_whole(&self.ram)?;
        let stream = state.apply(&input.stream).map_err(EditError::from)?;
        write_stream(&self.output, &stream, input.source.as_ref())?;
        Ok(ExitCode::SUCCESS)
    }
}
