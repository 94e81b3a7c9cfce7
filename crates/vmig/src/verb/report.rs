//! `vmig report`: a page to look at, and to attach to a ticket.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use report::Subject;

use super::{Failure, Outcome};
use crate::input::Input;
use crate::output::write_to;

/// Draw a migration stream as a page to look at
///
/// Writes one HTML file that needs neither network nor scripts: findings, the stream and its RAM as maps to
/// scale, each virtio device by layer, and its queues as rings. Of two streams, the page shows what differs
/// between them, side by side.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vmig report guest.mig -o report.html                  one stream
  vmig report before.mig after.mig -o report.html       what differs between two
  vmig report guest.mig > report.html

The page shows device state: MAC addresses, serials and buffers of devices are in it; guest RAM is not.

Exit status:
  0  the page was written
  1  it was written, but a stream ends early; what was read is shown
  2  nothing could be read or written")]
pub(crate) struct Report {
    /// The streams; `-` for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Where to write the page, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Report {
    pub(crate) fn run(&self) -> Outcome {
        let inputs = self.files.iter().map(|file| Input::open(file)).collect::<Result<Vec<_>, _>>()?;
        let subjects: Vec<_> =
            inputs.iter().map(|input| Subject { name: &input.file, reading: input.reading() }).collect();
        let page = report::page(&subjects);
        write_to(self.output.as_deref(), |out| out.write_all(page.as_bytes()))?;
        let mut is_whole = true;
        for Input { file, stopped, .. } in inputs {
            if let Some(error) = stopped {
                is_whole = false;
                Failure::Stream { file, error }.report();
            }
        }
        Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}
