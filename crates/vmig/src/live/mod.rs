//! What the live verbs share: how channels are opened, what ends them, what is shown meanwhile.

mod checks;
mod complete;
mod disk_image;
pub(crate) mod sandbox;
mod summary;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use migration::channel::{Address, Cancel, Listener, Patience, Settings, Tls};
use migration::error::{Cause, Error};
use migration::event::{Event, Observer, Side, State, Summary};
use migration::multifd::{Compression, Initial};
use migration::peer::Peer;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

pub(crate) use checks::CheckOptions;
pub(crate) use complete::{CompleteIo, Disks};
pub(crate) use summary::time;
pub(crate) use watch::Watch;

use crate::verb::{Failure, Outcome};

/// The least that must move in each time that a peer may be silent.
const LEAST: u64 = 4096;

/// How long peers may take.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Patient {
    /// Give up when a peer has been silent, or next to it, for so long
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
    /// Give up when no source has come for so long [default: wait for ever]
    #[arg(long, value_name = "SECONDS")]
    accept_timeout: Option<u64>,
    /// Wait at the entry of a state: STATE=SECONDS, for tests of failures
    #[arg(long, value_name = "STATE=SECONDS", hide = true)]
    pub(crate) pause: Option<watch::Pause>,
}

impl Patient {
    /// How long the destination may take to acknowledge: its devices may take their time to load.
    pub(crate) fn acknowledgement(self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    fn settings(self, tls: Option<Tls>, cancel: Cancel) -> Settings {
        Settings {
            patience: Patience { window: Duration::from_secs(self.timeout), bytes: LEAST },
            accept: self.accept_timeout.map(Duration::from_secs),
            cancel,
            tls,
            ..Settings::default()
        }
    }
}

/// Channels for pages beside the main one.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Multifd {
    /// How many channels pages go over beside the main one: as multifd-channels at the other end
    #[arg(long, value_name = "CHANNELS", default_value_t = 0)]
    pub(crate) multifd: u8,
}

/// How pages that go over channels of their own are compressed.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Compressed {
    /// How pages are compressed on their channels: none, zlib or zstd, as multifd-compression at the destination
    #[arg(long, value_name = "METHOD", default_value_t = Compression::None, requires = "multifd")]
    pub(crate) multifd_compression: Compression,
}

/// What ends a migration from outside: an interrupt, or the end of the session.
pub(crate) fn interrupts() -> Result<Cancel, Failure> {
    let cancel = Cancel::new();
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, cancel.flag())
            .map_err(|error| Failure::NotThere(format!("cannot listen to signals: {error}")))?;
    }
    Ok(cancel)
}

/// A peer that is to be waited for.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    pub(crate) address: &'a Address,
    pub(crate) multifd: Multifd,
    pub(crate) tls: Option<&'a PathBuf>,
    pub(crate) patient: Patient,
}

impl Incoming<'_> {
    /// Waits for the source.
    pub(crate) fn accept(&self, interrupts: &Cancel, observer: &dyn Observer) -> Result<Peer, Failure> {
        let tls = self.tls.map(|path| Tls::server(path, true)).transpose().map_err(at_setup(Side::In))?;
        let cancel = interrupts.child();
        let settings = self.patient.settings(tls, cancel.clone());
        let mut listener = Listener::bind(self.address, &settings).map_err(at_setup(Side::In))?;
        observer.event(Event::Listening { channel: listener.address().to_string() });
        Peer::accept_all(&mut listener, self.multifd.multifd, cancel).map_err(at_setup(Side::In))
    }
}

/// A peer that is to be connected to.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) address: &'a Address,
    /// Channels for pages, and what they say they are.
    pub(crate) channels: Vec<Initial>,
    pub(crate) tls: Option<&'a PathBuf>,
    pub(crate) hostname: Option<&'a String>,
    pub(crate) patient: Patient,
}

impl Outgoing<'_> {
    /// Connects to the destination.
    pub(crate) fn connect(&self, interrupts: &Cancel) -> Result<Peer, Failure> {
        let tls = self.tls.map(|path| Tls::client(path)).transpose().map_err(at_setup(Side::Out))?;
        let tls = match (tls, self.hostname) {
            (Some(tls), Some(hostname)) => Some(tls.with_hostname(hostname)),
            (tls, _) => tls,
        };
        let cancel = interrupts.child();
        let settings = self.patient.settings(tls, cancel.clone());
        Peer::connect_all(self.address, &self.channels, &settings, cancel).map_err(at_setup(Side::Out))
    }
}

/// What went wrong before anything was sent.
pub(crate) fn at_setup<C: Into<Cause>>(side: Side) -> impl Fn(C) -> Failure {
    move |cause| Failure::Migration(Error { state: State::Setup, side, cause: cause.into() })
}

/// Why a file that the source waits for could not be written.
pub(crate) fn not_kept(failure: Failure) -> Cause {
    match failure {
        Failure::Write { error, .. } => Cause::Keep(error),
        other => Cause::Refused(other.to_string()),
    }
}

/// Runs a verb, showing what happens; who reads JSON hears there, too, what went wrong.
pub(crate) fn watched(json: bool, patient: Patient, run: impl FnOnce(&Watch) -> Outcome) -> Outcome {
    let watch = Watch::new(json, patient.pause);
    run(&watch).inspect_err(|failure| watch.failed(failure))
}

/// Shows how it ended.
pub(crate) fn end(watch: &Watch, ended: Result<Summary, Error>) -> Outcome {
    let summary = ended.map_err(Failure::Migration)?;
    watch.done(&summary)?;
    Ok(ExitCode::SUCCESS)
}
