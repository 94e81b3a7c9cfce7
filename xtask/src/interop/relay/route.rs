//! The ways that live guests go: one table, [`ROUTES`]. Each way, channel and mode is in it at least once,
//! and each base case; not every one with every other.

use std::path::Path;

use miette::{Result, miette};

use super::repair::KITCHEN;
use crate::cases::{CASES, Case};
use crate::debian::suite::Suite::{self, Bookworm, Trixie};

/// A case whose guest goes from host to host, in one way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    /// The name of the case.
    case: &'static str,
    /// The QEMUs of the hosts, in turn; those of the case if there are none here.
    path: &'static [Suite],
    pub(super) way: Way,
    pub(super) channel: Channel,
    /// Channels for pages beside the main one; 0 is without multifd.
    pub(crate) multifd: usize,
    /// How these are compressed, if they are.
    pub(crate) compression: Option<&'static str>,
}

/// What vmig does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// `vmig relay --mode hold`
    Hold,
    /// `vmig relay --mode stream`
    Stream,
    /// `vmig relay --edit`, in mode hold and stream
    EditHold,
    EditStream,
    /// `vmig receive` into a file that QEMU loads
    Receive,
    /// `vmig send` of a file that QEMU wrote
    Send,
    /// `vmig receive` into a file, and `vmig send` of that
    ReceiveSend,
    /// `vmig send` of a recorded stream that no QEMU loads, through `vmig relay --repair`, in mode hold and stream
    RepairHold,
    RepairStream,
    /// `vmig relay --complete-io`: a write that is stuck at the source is done on the way
    Complete,
}

/// What a guest goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    Unix,
    Tcp,
    /// TCP, encrypted, with certificates on both sides.
    Tls,
    /// A Unix socket, encrypted: no host is in its name.
    UnixTls,
}

use Channel::{Tcp, Tls, Unix, UnixTls};
use Way::{
    Complete, EditHold, EditStream, Hold, Receive, ReceiveSend, RepairHold, RepairStream, Send, Stream,
};

const THERE_AND_BACK: &[Suite] = &[Bookworm, Trixie, Bookworm, Trixie, Bookworm];

#[rustfmt::skip]
const ROUTES: &[Route] = &[
    route("x86-q35-q10",                Hold,         Unix,    0),
    route("x86-q35-q10",                Stream,       Unix,    0),
    route("x86-q35-q10",                Stream,       Tls,     2),
    route("x86-q35-q10",                Hold,         Tcp,     4),
    route("x86-q35-q10",                Hold,         Unix,    2).compressed("zstd"),
    route("x86-q35-q7.2",               Stream,       Tcp,     0),
    route("x86-q35-q7.2",               Hold,         UnixTls, 0),
    route("x86-q35-q7.2",               Stream,       Unix,    2),
    route("x86-q35-q7.2",               Hold,         Unix,    2).compressed("zlib"),
    route("x86-q35-q7.2-to-q10",        Hold,         Tls,     0),
    route("x86-q35-q7.2-to-q10",        Hold,         Unix,    2),
    route("x86-q35-q7.2-to-q10",        Stream,       Tcp,     0),
    route("x86-q35-q7.2-to-q11",        Hold,         Tcp,     0),
    route("x86-q35-q11",                Stream,       Tls,     0),
    route("x86-q35-q11",                Hold,         Tls,     2),
    route("x86-q35-packed-q10",         Hold,         Unix,    0),
    route("x86-q35-packed-q11",         Stream,       Tcp,     2),
    route("x86-i440fx-legacy-q10",      Stream,       Unix,    0),
    route("x86-microvm-mmio-modern-q10", Hold,        Tcp,     0),
    route("x86-microvm-mmio-modern-q11", Stream,      Unix,    0),
    route("x86-microvm-mmio-legacy-q10", Stream,      Tcp,     0),
    route("s390x-ccw-q7.2",             Hold,         Unix,    0),
    route("s390x-ccw-q10",              Stream,       Tcp,     2),
    route("s390x-ccw-q11",              Hold,         Tls,     0),
    route("s390x-ccw-legacy-q10",       Stream,       Unix,    0),
    route("x86-q35-q7.2-to-q10",        Hold,         Unix,    0).over(THERE_AND_BACK),
    route("x86-q35-q7.2-to-q10",        Stream,       Tcp,     2).over(THERE_AND_BACK),
    route("x86-q35-q10",                EditHold,     Unix,    0),
    route("x86-q35-q10",                EditStream,   Tcp,     0),
    route("x86-q35-q10",                Receive,      Unix,    0),
    route("x86-q35-q10",                Receive,      Tcp,     2),
    route("x86-q35-q7.2",               Receive,      Tls,     0),
    route("x86-q35-q10",                Send,         Tcp,     0),
    route("x86-q35-q7.2",               Send,         Tls,     4),
    route("x86-q35-q11",                ReceiveSend,  Tcp,     2),
    route("x86-q35-q7.2",               Complete,     Unix,    0),
    route("x86-q35-q10",                Complete,     Unix,    0),
    route("x86-q35-q11",                Complete,     Tcp,     2),
    route("x86-q35-q7.2-to-q10",        Complete,     Tls,     0),
    // With MSI-X a request stays in flight, and QEMU does not load such a device with a packed ring.
    route("x86-q35-packed-intx-q10",    Complete,     Unix,    0),
    route("x86-q35-intx-q10",           Complete,     Unix,    0),
    route("x86-i440fx-legacy-q10",      Complete,     Unix,    0),
    route("x86-microvm-mmio-modern-q10", Complete,    Unix,    0),
    route("x86-microvm-mmio-legacy-q10", Complete,    Unix,    0),
    route("s390x-ccw-q10",              Complete,     Unix,    0),
    route(KITCHEN.name,                 RepairHold,   Unix,    0),
    route(KITCHEN.name,                 RepairStream, Unix,    0),
];

const fn route(case: &'static str, way: Way, channel: Channel, multifd: usize) -> Route {
    Route { case, path: &[], way, channel, multifd, compression: None }
}

/// The routes that a user asked for: all of them, or those named (a trailing `*` stands for any ending).
pub(crate) fn chosen(names: &[String]) -> Result<Vec<&'static Route>> {
    if names.is_empty() {
        return Ok(ROUTES.iter().collect());
    }
    let mut chosen = Vec::new();
    for name in names {
        let before = chosen.len();
        chosen.extend(ROUTES.iter().filter(|route| match name.strip_suffix('*') {
            Some(start) => route.name().starts_with(start),
            None => route.name() == *name,
        }));
        if chosen.len() == before {
            let known: Vec<_> = ROUTES.iter().map(Route::name).collect();
            return Err(miette!("no case is named `{name}`; expected one of\n  {}", known.join("\n  ")));
        }
    }
    Ok(chosen)
}

impl Route {
    const fn over(self, path: &'static [Suite]) -> Self {
        Self { path, ..self }
    }

    const fn compressed(self, compression: &'static str) -> Self {
        Self { compression: Some(compression), ..self }
    }

    /// The machine that goes this way.
    pub(crate) fn case(&self) -> Result<&'static Case> {
        let mut cases = CASES.iter().chain([&KITCHEN]);
        cases.find(|case| case.name == self.case).ok_or_else(|| miette!("no case is named {}", self.case))
    }

    /// The QEMUs of the hosts, in turn.
    pub(crate) fn path(&self) -> Result<Vec<Suite>> {
        if !self.path.is_empty() {
            return Ok(self.path.to_vec());
        }
        let case = self.case()?;
        // Only what a recorded stream is given to is run.
        Ok(if self.way.is_repair() { vec![case.to] } else { vec![case.from, case.to] })
    }

    /// Whether there is something to be seen without vmig: of what QEMU does as well.
    pub(crate) fn is_without_vmig(&self) -> bool {
        matches!(self.way, Way::Hold | Way::Stream)
    }

    /// All that tells it from others.
    pub(crate) fn name(&self) -> String {
        let multifd = if self.multifd > 0 { format!("-multifd{}", self.multifd) } else { String::new() };
        let compression = self.compression.map(|name| format!("-{name}")).unwrap_or_default();
        let hops = if self.path.is_empty() { String::new() } else { format!("-{}hops", self.path.len() - 1) };
        format!("{}-{}-{}{multifd}{compression}{hops}", self.case, self.way.name(), self.channel.name())
    }
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Stream => "stream",
            Self::EditHold => "edit-hold",
            Self::EditStream => "edit-stream",
            Self::Receive => "receive",
            Self::Send => "send",
            Self::ReceiveSend => "receive-send",
            Self::RepairHold => "repair-hold",
            Self::RepairStream => "repair-stream",
            Self::Complete => "complete-io",
        }
    }

    /// The `--mode` of a relay.
    pub(super) fn mode(self) -> &'static str {
        match self {
            Self::Stream | Self::EditStream | Self::RepairStream => "stream",
            _ => "hold",
        }
    }

    pub(super) fn is_edit(self) -> bool {
        matches!(self, Self::EditHold | Self::EditStream)
    }

    fn is_repair(self) -> bool {
        matches!(self, Self::RepairHold | Self::RepairStream)
    }
}

impl Channel {
    fn name(self) -> &'static str {
        match self {
            Self::Unix => "unix",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::UnixTls => "unix-tls",
        }
    }

    pub(super) fn is_tls(self) -> bool {
        matches!(self, Self::Tls | Self::UnixTls)
    }

    /// An address to listen at, in a directory of sockets: whoever does gets the port.
    pub(super) fn address(self, sockets: &Path, name: &str) -> String {
        match self {
            Self::Unix | Self::UnixTls => format!("unix:{}", sockets.join(name).display()),
            Self::Tcp | Self::Tls => "tcp:127.0.0.1:0".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_cases_are_there() {
        for route in ROUTES {
            assert_eq!(
                ROUTES.iter().filter(|other| other.name() == route.name()).count(),
                1,
                "{}",
                route.name()
            );
            assert!(!route.path().unwrap().is_empty());
        }
    }

    #[test]
    fn each_channel_and_mode_goes_with_and_without_multifd() {
        for (way, multifd) in [(Hold, false), (Hold, true), (Stream, false), (Stream, true)] {
            for channel in [Unix, Tcp, Tls] {
                let is_it = |route: &&Route| {
                    route.way == way && route.channel == channel && (route.multifd > 0) == multifd
                };
                assert!(ROUTES.iter().any(|route| is_it(&route)), "{way:?} {channel:?} {multifd}");
            }
        }
    }
}
