//! `cargo xtask fetch`: QEMU versions and the guest's kernel, as Debian packages, under `target/qemu`.
//!
//! Every part that is finished leaves a stamp file; what is stamped is not fetched again.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use miette::{Result, WrapErr, miette};
use serde::Serialize;

use crate::debian::apt::{Apt, Source};
use crate::debian::suite::{Arch, Suite};
use crate::debian::{self, keyring, mirror};
use crate::progress::Step;
use crate::qemu::Qemu;
use crate::{guest, tools, workspace};

/// Fetch QEMU versions and the guest that interop and record run, as Debian packages.
///
/// Everything goes under target/qemu; nothing is installed, no privileges are needed. Packages come
/// from the mirror that this machine's apt already uses, and apt checks their signatures. What is
/// there already is not fetched again. A part that cannot be had is named, and the others go on.
#[derive(Debug, Args)]
pub(crate) struct Fetch {
    /// QEMU series: 7.2 (Debian bookworm), 10 (trixie), 11 (sid)
    #[arg(long, value_delimiter = ',', value_name = "SERIES", value_parser = Suite::parse, default_value = "7.2,10,11")]
    qemu: Vec<Suite>,

    /// Guest architectures
    #[arg(long, value_delimiter = ',', value_enum, default_value = "x86_64,s390x")]
    arch: Vec<Arch>,

    /// Fetch again what is there already
    #[arg(long)]
    refresh: bool,

    /// Debian archive to ask [default: the one in this machine's apt sources]
    #[arg(long, value_name = "URI", env = "VMIG_DEBIAN_MIRROR")]
    mirror: Option<String>,

    /// Keyring to check signatures with [default: the one of the package debian-archive-keyring]
    #[arg(long, value_name = "FILE")]
    keyring: Option<PathBuf>,

    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

/// What became of one part.
#[derive(Debug, Serialize)]
struct Part {
    part: String,
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    seconds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Fetched,
    Present,
    Failed,
}

impl Fetch {
    /// Fetches every part and reports; an error if any part is missing at the end.
    pub(crate) fn run(&self) -> Result<()> {
        let mut parts = Vec::new();
        let mut source = None;
        for arch in &self.arch {
            for suite in &self.qemu {
                let name = format!("QEMU {} for {} ({})", suite.series(), arch.name(), suite.name());
                let stamp = Qemu::stamp(*suite, *arch)?;
                parts.push(self.part(name, &stamp, &mut source, |source| emulator(*suite, *arch, source)));
            }
            let name = format!("guest for {}", arch.name());
            let stamp = guest::stamp(*arch)?;
            parts.push(self.part(name, &stamp, &mut source, |source| guest_from_any(*arch, source)));
        }
        self.report(&parts)
    }

    /// Fetches one part unless its stamp says that it is there.
    fn part(
        &self,
        part: String,
        stamp: &Path,
        source: &mut Option<Source>,
        fetch: impl FnOnce(&Source) -> Result<String>,
    ) -> Part {
        let present = std::fs::read_to_string(stamp).ok();
        if let (Some(version), false) = (present, self.refresh) {
            let version = Some(version.trim().to_owned());
            return Part { part, state: State::Present, version, reason: None, seconds: 0 };
        }
        let start = Instant::now();
        let outcome = self.source(source).and_then(|source| fetch(&source)).and_then(|version| {
            workspace::write(stamp, &version)?;
            Ok(version)
        });
        let seconds = start.elapsed().as_secs();
        match outcome {
            Ok(version) => {
                Part { part, state: State::Fetched, version: Some(version), reason: None, seconds }
            }
            Err(error) => Part {
                part,
                state: State::Failed,
                version: None,
                reason: Some(tools::words(&error)),
                seconds,
            },
        }
    }

    /// The archive to ask, found out once and only if something has to be fetched.
    fn source(&self, known: &mut Option<Source>) -> Result<Source> {
        if let Some(source) = known {
            return Ok(source.clone());
        }
        let source = Source {
            mirror: self.mirror.clone().map_or_else(mirror::of_this_machine, Ok)?,
            keyring: self.keyring.clone().map_or_else(keyring::of_this_machine, Ok)?,
            transport: mirror::transport_settings()?,
        };
        Ok(known.insert(source).clone())
    }

    fn report(&self, parts: &[Part]) -> Result<()> {
        if self.json {
            let text = serde_json::to_string_pretty(parts).map_err(|error| miette!("{error}"))?;
            println!("{text}");
        } else {
            for part in parts {
                println!("{}", part.line());
            }
        }
        match parts.iter().filter(|part| part.state == State::Failed).count() {
            0 => Ok(()),
            failed => Err(miette!(
                help = "`cargo xtask fetch` again goes on where it stopped; interop skips what is missing",
                "{failed} of {} parts could not be fetched (reasons above)",
                parts.len()
            )),
        }
    }
}

impl Part {
    fn line(&self) -> String {
        let version = self.version.as_deref().unwrap_or_default();
        match self.state {
            State::Fetched => format!("fetched  {}: {version} ({} s)", self.part, self.seconds),
            State::Present => format!("present  {}: {version}", self.part),
            State::Failed => {
                format!("FAILED   {}: {}", self.part, self.reason.as_deref().unwrap_or("no reason known"))
            }
        }
    }
}

/// Fetches the emulator of an architecture from a release and runs it once; returns its version.
fn emulator(suite: Suite, arch: Arch, source: &Source) -> Result<String> {
    let step = Step::percent(&format!("QEMU {} for {}: package lists", suite.series(), arch.name()));
    let apt = apt(suite, &debian::host_architecture()?, source)?;
    step.say(&format!("QEMU {} for {}: packages", suite.series(), arch.name()));
    let packages = [suite.emulator(arch), "qemu-system-data", "seabios", "ipxe-qemu"];
    let files = apt.download_closure(&packages, &step)?;
    step.say(&format!("QEMU {} for {}: unpacking", suite.series(), arch.name()));
    debian::unpack(&files, &Qemu::root(suite, arch)?)?;
    Qemu::ask_version(suite, arch).wrap_err("the packages are there, but the emulator does not run")
}

/// Fetches the guest's parts from the best release that has them; returns the kernel's package.
fn guest_from_any(arch: Arch, source: &Source) -> Result<String> {
    let mut reasons = Vec::new();
    for suite in Suite::GUEST {
        match guest_parts(suite, arch, source) {
            Ok(kernel) => return Ok(kernel),
            Err(error) => {
                eprintln!("guest for {}: not from {}: {}", arch.name(), suite.name(), tools::words(&error));
                reasons.push(tools::words(&error));
            }
        }
    }
    Err(miette!("no release has it:\n{}", reasons.join("\n")))
}

/// Fetches kernel and busybox for an architecture from one release; returns the kernel's package.
fn guest_parts(suite: Suite, arch: Arch, source: &Source) -> Result<String> {
    let step = Step::percent(&format!("guest for {}: package lists of {}", arch.name(), suite.name()));
    let apt = apt(suite, arch.debian(), source)?;
    let kernel =
        apt.depends(arch.kernel())?.into_iter().find(|name| name.starts_with("linux-image-")).ok_or_else(
            || miette!("{} depends on no linux-image package; one was expected", arch.kernel()),
        )?;
    step.say(&format!("guest for {}: packages", arch.name()));
    let files = apt.download(&[&kernel, "busybox-static"])?;
    step.say(&format!("guest for {}: unpacking", arch.name()));
    debian::unpack(&files, &guest::root(arch)?)?;
    Ok(kernel)
}

/// An apt for a release and an architecture, with verified and current lists.
fn apt(suite: Suite, arch: &str, source: &Source) -> Result<Apt> {
    let base = workspace::qemu()?;
    let dir = base.join(suite.name()).join("apt").join(arch);
    keyring::update_verified(&dir, &base.join("keyring"), suite, arch, source)
        .wrap_err_with(|| format!("no package lists of {} for {arch}", suite.name()))
}
