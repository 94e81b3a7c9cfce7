//! `vmig send`: a guest out of a file goes to a waiting QEMU.

use std::path::PathBuf;

use clap::Args;
use migration::channel::Address;
use migration::multifd::Initial;
use migration::outgoing::Options;

use super::{Failure, Outcome};
use crate::input::Input;
use crate::live::{Compressed, Multifd, Outgoing, Patient, Watch, end, interrupts, watched};

/// Send a stream to a waiting QEMU
///
/// Takes any stream: a file, a compressed one, a libvirt save image, an internal snapshot. Each page goes
/// once. It is sent when the destination has acknowledged it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vmig send guest.mig unix:/run/vm.sock                  qemu-system-x86_64 … -incoming unix:/run/vm.sock
  vmig send guest.mig.zst tcp:host:4444
  vmig send disk.qcow2#before-upgrade tcp:host:4444
  vmig send guest.mig tcp:host:4444 --multifd 4 --multifd-compression zstd
  vmig send guest.mig tcp:host:4444 --tls /etc/pki/qemu --max-bandwidth 100M

Exit status: 0 the destination has the guest; 2 it has not.")]
pub(crate) struct Send {
    /// The stream; `-` for standard input
    file: String,
    /// Where to: tcp:HOST:PORT, unix:PATH, fd:N, exec:COMMAND, file:PATH or - (standard output)
    channel: Address,
    /// Directory with ca-cert.pem, client-cert.pem and client-key.pem
    #[arg(long, value_name = "DIR")]
    tls: Option<PathBuf>,
    /// The name in the destination's certificate, where it is not the host's
    #[arg(long, value_name = "NAME", requires = "tls")]
    tls_hostname: Option<String>,
    /// The most bytes in a second
    #[arg(long, value_name = "BYTES", value_parser = size)]
    max_bandwidth: Option<u64>,
    #[command(flatten)]
    multifd: Multifd,
    #[command(flatten)]
    compressed: Compressed,
    #[command(flatten)]
    patient: Patient,
    /// Print events and the summary as JSON, one object a line
    #[arg(long)]
    json: bool,
}

/// Parses a number of bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    parse_size::Config::new()
        .with_binary()
        .parse_size(text)
        .map_err(|error| format!("{error}; expected a number of bytes, as 500000 or 100M"))
}

impl Send {
    pub(crate) fn run(&self) -> Outcome {
        watched(self.json, self.patient, |watch| self.send(watch))
    }

    fn send(&self, watch: &Watch) -> Outcome {
        let input = Input::open_whole(&self.file)?;
        if input.stream.ram.as_ref().is_some_and(|ram| ram.multifd) {
            return Err(Failure::NotThere(format!(
                "{}: its pages went over multifd channels and are not in it; nothing sent",
                input.file
            )));
        }
        let interrupts = interrupts()?;
        let (tls, hostname) = (self.tls.as_ref(), self.tls_hostname.as_ref());
        let patient = self.patient;
        let channels = Initial::first(self.multifd.multifd);
        let outgoing = Outgoing { address: &self.channel, channels, tls, hostname, patient };
        let peer = outgoing.connect(&interrupts)?;
        let options =
            Options { bandwidth: self.max_bandwidth, compression: self.compressed.multifd_compression };
        let sent = migration::send::send(&input.stream, input.source.as_ref(), peer, options, watch);
        end(watch, sent)
    }
}
