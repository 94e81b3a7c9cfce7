//! `vmig redact`: a stream that can be shared.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use compat::redact::{self, Options, RedactError};

use super::{Failure, Outcome};
use crate::input::Input;
use crate::output::{show, write_file};

/// Write a stream that can be shared: device state and rings, no guest data
///
/// Pages that hold a part of a virtqueue stay, and what QEMU itself looks at in RAM (the head of an option
/// ROM); all other RAM becomes zero, and so does guest data in the
/// state of devices: pixels, data on its way to a disk, non-volatile memory, state of vhost-user back-ends.
/// The result is inspected, checked and verified like the original, and QEMU loads it; a guest does not run
/// from it. What other devices hold (registers of processors, packets of user-mode networking) stays.
///
/// What is written is the stream alone, uncompressed. Of a libvirt save image, the domain's XML is left
/// behind, with all names, paths of disks, serial numbers and addresses in it; the stream itself has no paths.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vmig redact guest.mig -o shared.mig && zstd --long shared.mig
  vmig redact guest.mig -o shared.mig --identities
  vmig redact /var/lib/libvirt/qemu/save/guest.save -o shared.mig --identities

Exit status:
  0  the stream was written
  2  it could not be read or written")]
pub(crate) struct Redact {
    /// The stream; `-` for standard input
    file: String,
    /// Where to write the stream
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Also replace what tells this machine from others: the end of MAC addresses of virtio network devices,
    /// serial numbers of disks, names the guest gave itself, the machine's UUID
    #[arg(long)]
    identities: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Redact {
    pub(crate) fn run(&self) -> Outcome {
        let input = Input::open_whole(&self.file)?;
        let options = Options { identities: self.identities };
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
        show(self.json, &done, |out| {
            let (kept, dropped) = (done.kept, done.dropped);
            writeln!(
                out,
                "{}: {kept} pages kept, which hold rings; {dropped} pages of guest data dropped",
                self.output.display()
            )
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
