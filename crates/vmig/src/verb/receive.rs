//! `vmig receive`: a guest arrives from a running QEMU, and is kept in a file.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use migration::Cause;
use migration::channel::Address;
use migration::incoming::Terms;
use migration::receive::{Form, receive};

use super::{Failure, Outcome};
use crate::live::sandbox::{Needs, Sandbox};
use crate::live::{CheckOptions, Incoming, Multifd, Patient, Watch, end, interrupts, not_kept, watched};
use crate::output::{folder, write_stream};

/// Receive a live migration into a file
///
/// Waits for a QEMU that migrates here, takes its guest, checks that every device of it would load, and
/// acknowledges only when the file is whole and on disk. If anything fails, the source goes on running the
/// guest, and no file is left. No privileges are needed, and most of what every process may do is given up.
///
/// The source must have its capability return-path on: without it, it gives the guest up before it has
/// arrived.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vmig receive unix:/run/vm.sock -o guest.mig          (source) migrate unix:/run/vm.sock
  vmig receive tcp:0.0.0.0:4444 -o guests/             into a directory, named after the moment
  vmig receive tcp::4444 -o guest.mig --tls /etc/pki/qemu
  vmig receive tcp::4444 -o guest.mig --multifd 4      the source has multifd on, with multifd-channels 4

  (source) migrate_set_capability return-path on

Exit status: 0 the guest is in the file, and the source has let it go; 2 it is still at the source.")]
pub(crate) struct Receive {
    /// Where to wait: tcp:HOST:PORT, unix:PATH, fd:N, exec:COMMAND, file:PATH or - (standard input)
    channel: Address,
    /// The file to write, or a directory
    #[arg(short, long, value_name = "FILE|DIR")]
    output: PathBuf,
    /// Keep each page once, at a place of its own: a mapped-ram stream, as QEMU 9.0 and later load. So it is with
    /// --multifd, too
    #[arg(long)]
    mapped_ram: bool,
    /// Directory with ca-cert.pem, server-cert.pem and server-key.pem; the source must show a certificate
    #[arg(long, value_name = "DIR")]
    tls: Option<PathBuf>,
    /// Take a guest also from a source that gives it up before it has arrived (return-path off)
    #[arg(long)]
    unacknowledged: bool,
    #[command(flatten)]
    multifd: Multifd,
    #[command(flatten)]
    checks: CheckOptions,
    #[command(flatten)]
    patient: Patient,
    #[command(flatten)]
    sandbox: Sandbox,
    /// Print events and the summary as JSON, one object a line
    #[arg(long)]
    json: bool,
}

impl Receive {
    pub(crate) fn run(&self) -> Outcome {
        watched(self.json, self.patient, |watch| self.receive(watch))
    }

    fn receive(&self, watch: &Watch) -> Outcome {
        let target = target(&self.output);
        let failed = |error| Failure::Write { file: target.display().to_string(), error };
        let folder = folder(&target);
        let permissions = Permissions::from_mode(0o666);
        let temporary =
            tempfile::Builder::new().permissions(permissions).tempfile_in(folder).map_err(failed)?;
        let file = temporary.reopen().map_err(failed)?;
        let checks = self.checks.checks(watch)?;
        let interrupts = interrupts()?;
        let (tls, patient) = (self.tls.as_ref(), self.patient);
        let peer = Incoming { address: &self.channel, multifd: self.multifd, tls, patient }
            .accept(&interrupts, watch)?;
        self.sandbox.enter(&Needs { folder: Some(folder), channels: &[&self.channel] }, watch)?;
        // Pages that come over several channels have no place in one stream as it comes.
        let is_mapped = self.mapped_ram || self.multifd.multifd > 0;
        let form = if is_mapped { Form::Mapped } else { Form::Verbatim };
        let is_one_way = !peer.main.is_duplex();
        let terms = Terms { unacknowledged: self.unacknowledged || is_one_way, ..Terms::default() };
        let mut temporary = Some(temporary);
        let mut kept = |held: &migration::hold::Held| {
            // What was changed on the way is written anew, beside what came.
            if held.is_changed {
                write_stream(&target, &held.stream, &held.source).map_err(not_kept)?;
            } else if let Some(temporary) = temporary.take() {
                temporary.as_file().sync_all().map_err(Cause::Keep)?;
                temporary.persist(&target).map_err(|error| Cause::Keep(error.error))?;
            }
            sync_folder(folder).map_err(Cause::Keep)
        };
        end(watch, receive(peer, file, form, terms, &checks, &mut kept, watch))
    }
}

/// A rename is on disk when its directory is.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The file to write; in a directory it is named after the moment.
fn target(output: &Path) -> PathBuf {
    if !output.is_dir() {
        return output.to_owned();
    }
    let now = std::time::SystemTime::now();
    let seconds = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    output.join(format!("guest-{seconds}.mig"))
}
