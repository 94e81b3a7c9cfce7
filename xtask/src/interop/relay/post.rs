//! What lies between two hosts: the channels, on both sides of vmig, and the arguments that vmig has for them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use tempfile::TempDir;

use super::route::Route;
use crate::machine::live::{Ended, Terms};
use crate::machine::{Machine, Site};
use crate::tls;
use crate::vmig::Live;

/// How long the parts of a migration may take; emulation on busy cores is slow.
pub(super) const TO_LISTEN: Duration = Duration::from_secs(30);
pub(super) const TO_END: Duration = Duration::from_secs(240);

/// Bytes in a second: slow enough that the guest beats on its way, in time for it to converge.
const BANDWIDTH: u64 = 20 << 20;

/// The channels of a route.
#[derive(Debug)]
pub(super) struct Post<'a> {
    pub(super) route: &'a Route,
    pub(super) site: &'a Site,
    program: Option<&'a Path>,
    sockets: TempDir,
    certificates: Option<PathBuf>,
}

impl<'a> Post<'a> {
    pub(super) fn new(route: &'a Route, site: &'a Site, program: Option<&'a Path>) -> Result<Self> {
        // Not in the case's directory: the path of a Unix socket has at most 107 bytes.
        let sockets = TempDir::with_prefix("vmig-").into_diagnostic()?;
        let certificates = route.channel.is_tls().then(|| site.dir.join("tls"));
        if let Some(dir) = &certificates {
            tls::make(dir)?;
        }
        Ok(Self { route, site, program, sockets, certificates })
    }

    /// Whether vmig is in the middle.
    pub(super) fn has_vmig(&self) -> bool {
        self.program.is_some()
    }

    /// A command of vmig, with `--json`.
    pub(super) fn vmig(&self, verb: &str) -> Result<Command> {
        let program = self.program.ok_or_else(|| miette!("there is no vmig"))?;
        let mut command = Command::new(program);
        command.args([verb, "--json"]);
        Ok(command)
    }

    /// Adds the option that has a directory of certificates, if the channel is encrypted.
    pub(super) fn certify(&self, command: &mut Command, option: &str) {
        if let Some(dir) = &self.certificates {
            command.arg(option).arg(dir);
        }
    }

    /// Adds what both sides of a channel have to agree on, and the host's name where the address has none.
    pub(super) fn agree(&self, command: &mut Command, connects: bool) {
        if self.route.multifd > 0 {
            command.args(["--multifd", &self.route.multifd.to_string()]);
        }
        if connects && let Some(compression) = self.route.compression {
            command.args(["--multifd-compression", compression]);
        }
        if connects && self.certificates.is_some() && self.address("").starts_with("unix:") {
            command.args(["--tls-hostname", tls::HOST]);
        }
    }

    /// An address to listen at.
    pub(super) fn address(&self, name: &str) -> String {
        self.route.channel.address(self.sockets.path(), name)
    }

    /// What a machine is told of the channel.
    pub(super) fn terms(&self) -> Terms<'_> {
        Terms {
            multifd: self.route.multifd,
            compression: self.route.compression,
            tls: self.certificates.as_deref(),
            bandwidth: Some(BANDWIDTH),
            one_way: false,
        }
    }

    /// Sends the running guest to an address, where vmig or a machine waits; what was seen of that at the
    /// source, in a few words. `vmig` is waited for first.
    pub(super) fn leave(
        &self,
        source: &mut Machine<'_>,
        address: &str,
        vmig: Option<Live>,
    ) -> Result<String> {
        let before = self.site.beats()?.last;
        source.send_to(address, self.terms())?;
        let ended = vmig.map(|vmig| vmig.end(TO_END)?.well()).transpose();
        // What the source says is told as well: it may be the reason.
        let left = source.wait_for_end(if ended.is_ok() { TO_END } else { TO_LISTEN });
        match (ended, left?) {
            (Err(error), left) => Err(error.wrap_err(format!("at the source: {left:?}"))),
            (Ok(_), Ended::Completed { downtime_ms }) => {
                let on_the_way = self.site.beats()?.last - before;
                Ok(format!("{on_the_way} on the way, down {downtime_ms} ms"))
            }
            (Ok(_), left) => Err(miette!("vmig says all went well, and the source says {left:?}")),
        }
        .wrap_err("on the way")
    }
}
