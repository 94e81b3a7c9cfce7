//! A guest that has booted and worked, saved once and taken up again for every row: booting takes longest.

use std::path::Path;

use miette::{IntoDiagnostic, Result, WrapErr};

use crate::cases::Case;
use crate::machine::command::{DISKS, End};
use crate::machine::{Machine, Site};
use crate::qemu::Qemu;

/// Beats the guest makes before it is saved.
const BEATS: u64 = 6;

/// The stream, in the seed's directory and in that of each row.
const STREAM: &str = "seed.mig";

/// A saved guest: its stream, its disks, and what it has said.
#[derive(Debug)]
pub(super) struct Seed {
    site: Site,
}

impl Seed {
    /// Boots the guest of a case, lets it work, and saves it.
    pub(super) fn grow(case: &'static Case, dir: &Path, qemu: &Qemu) -> Result<Self> {
        let site = Site::new(case, dir, qemu)?;
        let mut machine = Machine::start(&site, qemu, End::Source)?;
        machine.work_and_stop(BEATS).wrap_err("before it was saved")?;
        machine.save(STREAM)?;
        machine.quit()?;
        Ok(Self { site })
    }

    /// Lays out a directory in which the guest is taken up.
    pub(super) fn plant(&self, dir: &Path, qemu: &Qemu) -> Result<Site> {
        let site = Site::new(self.site.case, dir, qemu)?;
        let name = End::Source.name();
        let said = ["serial", "port"].map(|kind| format!("{name}.{kind}"));
        let files = DISKS.iter().copied().chain([STREAM]).chain(said.iter().map(String::as_str));
        for file in files.filter(|file| self.site.dir.join(file).exists()) {
            std::fs::copy(self.site.dir.join(file), dir.join(file))
                .into_diagnostic()
                .wrap_err_with(|| format!("cannot copy {file} of the saved guest"))?;
        }
        Ok(site)
    }

    /// Takes the guest up, and sees it go on.
    pub(super) fn take_up<'a>(site: &'a Site, qemu: &Qemu) -> Result<Machine<'a>> {
        let mut machine = Machine::start(site, qemu, End::Destination(STREAM))?;
        machine.wait_until_loaded()?;
        machine.resume()?;
        machine.wait_for_beat(BEATS + 2)?;
        Ok(machine)
    }
}
