//! `vmig relay`: a guest leaves one QEMU, passes through here, and goes on in another.

use std::fs::File;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use migration::Cause;
use migration::channel::Address;
use migration::event::Side;
use migration::hold::{self, Held};
use migration::incoming::Terms;
use migration::multifd::Initial;
use migration::outgoing::Options;
use migration::pass;

use super::send::size;
use super::{Failure, Outcome};
use crate::live::sandbox::{Needs, Sandbox};
use crate::live::{
    CheckOptions, CompleteIo, Compressed, Disks, Incoming, Multifd, Outgoing, Patient, Watch, at_setup, end,
    interrupts, not_kept, watched,
};
use crate::output::{folder, write_stream};

/// Pass a live migration on, checked and if need be mended
///
/// A guest leaves one QEMU, passes through here, and goes on in another. Every device is loaded here first,
/// and a guest that would not load is refused: its source goes on running it. The source keeps the guest
/// until the destination has acknowledged, whatever fails in between.
///
/// The source must have its capability return-path on.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vmig relay unix:/run/a.sock tcp:host:4444
  vmig relay tcp::4444 unix:/run/b.sock --mode stream      passed on while it arrives; short downtime
  vmig relay tcp::4444 tcp:host:4444 --onto qmp:/run/b.qmp refused if it would not load there
  vmig relay unix:a.sock unix:b.sock --repair              a guest of QEMU 5.2 with balloon page poison
  vmig relay unix:a.sock unix:b.sock --edit 0000:00:03.0/virtio-net.device.mac=52:54:00:00:00:01
  vmig relay unix:a.sock unix:b.sock --complete-io blk0=disk.img   stuck writes are done
  vmig relay tcp::4444 tcp:host:4444 --multifd 4           with multifd on at both ends, multifd-channels 4
  vmig relay tcp::4444 tcp:host:4444 --tls-in /etc/pki/qemu --tls-out /etc/pki/qemu

Exit status: 0 the destination has the guest; 2 it is still at the source.")]
pub(crate) struct Relay {
    /// Where to wait for the source: tcp:HOST:PORT, unix:PATH or fd:N
    #[arg(value_name = "IN")]
    source: Address,
    /// Where the destination waits
    #[arg(value_name = "OUT")]
    destination: Address,
    /// When the guest goes on
    #[arg(long, value_enum, default_value = "hold")]
    mode: Mode,
    /// Directory with ca-cert.pem, server-cert.pem and server-key.pem, for the source
    #[arg(long, value_name = "DIR")]
    tls_in: Option<PathBuf>,
    /// Directory with ca-cert.pem, client-cert.pem and client-key.pem, for the destination
    #[arg(long, value_name = "DIR")]
    tls_out: Option<PathBuf>,
    /// The name in the destination's certificate, where it is not the host's
    #[arg(long, value_name = "NAME", requires = "tls_out")]
    tls_hostname: Option<String>,
    /// Keep a copy of the stream
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// The most bytes in a second that go to the destination (--mode hold)
    #[arg(long, value_name = "BYTES", value_parser = size)]
    max_bandwidth: Option<u64>,
    /// Serve what a block device has in flight or in its rings, from the raw image of its disk, while the guest is
    /// held (--mode hold); may be given more than once. NAME is the device's path, 0000:00:03.0, or blk0 for the
    /// first block device. What was written to FILE stays there whatever happens: a source that keeps its guest serves
    /// the same requests again
    #[arg(long, value_name = "NAME=FILE")]
    complete_io: Vec<CompleteIo>,
    #[command(flatten)]
    multifd: Multifd,
    #[command(flatten)]
    compressed: Compressed,
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

/// When the guest goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// When all of it has come and been checked; needs memory for all its RAM, and the guest stands meanwhile
    Hold,
    /// While it arrives; needs little memory, and only device state waits for the checks
    Stream,
}

impl Relay {
    pub(crate) fn run(&self) -> Outcome {
        watched(self.json, self.patient, |watch| self.relay(watch))
    }

    fn relay(&self, watch: &Watch) -> Outcome {
        if self.mode == Mode::Stream && self.multifd.multifd > 0 && self.save.is_some() {
            let text = "--save keeps what goes over the main channel, and with --multifd pages do not; use --mode hold";
            return Err(Failure::NotThere(text.to_owned()));
        }
        if self.mode == Mode::Stream && !self.complete_io.is_empty() {
            let text = "--complete-io works in the guest's RAM, which has gone on with --mode stream; use --mode hold";
            return Err(Failure::NotThere(text.to_owned()));
        }
        let checks = self.checks.checks(watch)?.with_disks(Disks::open(&self.complete_io)?);
        let interrupts = interrupts()?;
        let patient = self.patient;
        let incoming =
            Incoming { address: &self.source, multifd: self.multifd, tls: self.tls_in.as_ref(), patient };
        let mut source = incoming.accept(&interrupts, watch)?;
        let (tls, hostname) = (self.tls_out.as_ref(), self.tls_hostname.as_ref());
        let channels = match self.mode {
            Mode::Hold => Initial::first(self.multifd.multifd),
            Mode::Stream => source.initials().map_err(at_setup(Side::In))?,
        };
        let outgoing = Outgoing { address: &self.destination, channels, tls, hostname, patient };
        let destination = outgoing.connect(&interrupts)?;
        let channels = &[&self.source, &self.destination];
        self.sandbox.enter(&Needs { folder: self.save.as_deref().map(folder), channels }, watch)?;
        let terms = Terms::default();
        let relayed = match self.mode {
            Mode::Hold => {
                let options = Options {
                    bandwidth: self.max_bandwidth,
                    compression: self.compressed.multifd_compression,
                };
                let mut save = |held: &Held| self.save(held);
                hold::relay(source, destination, terms, options, &checks, &mut save, watch)
            }
            Mode::Stream => {
                let acknowledgement = patient.acknowledgement();
                let copy = self.save.as_ref().map(File::create).transpose().map_err(|error| {
                    let file = self.save.iter().map(|path| path.display().to_string()).collect();
                    Failure::Write { file, error }
                })?;
                let options = pass::Options { terms, acknowledgement };
                pass::relay(source, destination, options, &checks, copy, watch)
            }
        };
        end(watch, relayed)
    }

    fn save(&self, held: &Held) -> Result<(), Cause> {
        let Some(path) = &self.save else { return Ok(()) };
        write_stream(path, &held.stream, &held.source).map_err(not_kept)
    }
}
