//! `vmig redact`: a stream that can be shared.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use compat::redact::{self, Options, RedactError};

use super::{Failure, Outcome, stdout};
use crate::input::Input;
use crate::output::write_file;

/// Write a stream that can be shared: device state and rings, no guest data
///
/// Pages that hold a part of a virtqueue stay, all other RAM becomes zero, and so do the pixels of GPU
/// resources. The result is inspected, checked and verified like the original; a guest does not run from
/// it. What other devices hold (registers of processors, packets of user-mode networking) stays.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vmig redact guest.mig -o shared.mig && zstd --long shared.mig
  vmig redact guest.mig -o shared.mig --mac       MAC addresses replaced, too

Exit status:
  0  the stream was written
  2  it could not be read or written")]
pub(crate) struct Redact {
    /// The stream; `-` for standard input
    file: String,
    /// Where to write the stream
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Replace the end of MAC addresses in the state of virtio network devices by zeros
    #[arg(long)]
    mac: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Redact {
    pub(crate) fn run(&self) -> Outcome {
        let input = Input::open_whole(&self.file)?;
        let options = Options { mac: self.mac };
        let mut redacted = None;
        let mut refused = None;
        write_file(&self.output, |out| {
            match redact::redact(&input.stream, &input.guest, input.source.as_ref(), options, out) {
                Ok(done) => redacted = Some(done),
                Err(RedactError::Write(error)) => return Err(error),
                Err(error) => {
                    let text = error.to_string();
                    refused = Some(error);
                    return Err(std::io::Error::other(text).into());
                }
            }
            Ok(())
        })
        .map_err(|failure| match refused {
            Some(error) => Failure::NotThere(format!("{}: {error}; nothing written", input.file)),
            None => failure,
        })?;
        let done = redacted.unwrap_or_default();
        let mut out = anstream::stdout().lock();
        let printed = match self.json {
            true => serde_json::to_writer(&mut out, &done)
                .map_err(std::io::Error::from)
                .and_then(|()| writeln!(out)),
            false => {
                let (kept, dropped) = (done.kept, done.dropped);
                writeln!(
                    out,
                    "{}: {kept} pages kept, which hold rings; {dropped} pages of guest data dropped",
                    self.output.display()
                )
            }
        };
        printed.map_err(stdout)?;
        Ok(ExitCode::SUCCESS)
    }
}
