//! A stream without the guest's data: device state and ring pages stay, all other RAM is zero.
//!
//! What remains is what a bug report about virtio needs, and what a fixture is made of. Besides RAM, guest
//! data in device state is blanked: pixels of a GPU's resources, data on its way to a disk, state of
//! programs outside QEMU, non-volatile memory. [`Options::identities`] also replaces what tells the machine
//! from others. What other devices hold (registers of processors, packets of user-mode networking) stays.
//!
//! What is written is a stream, pages one after the other: what was around it, such as the XML in a libvirt
//! save image, is left behind.

mod data;
mod fields;
mod firmware;
mod identity;
mod mapped;
mod ram;

use std::collections::BTreeSet;
use std::io::Write;

use virtio::guest::{Guest, Page, ring_pages};
use virtio::memory::MemoryError;
use vmstate::source::Source;
use vmstate::stream::{Stream, WriteError};

use firmware::OptionRom;

use crate::state::{ApplyError, State};

/// What is replaced beside RAM.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// MAC addresses of virtio network devices, serial numbers of disks, names and UUIDs.
    pub identities: bool,
}

/// What was kept and dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Redacted {
    /// Page records that were kept: they hold a part of a ring, or the head of a ROM that QEMU looks at.
    pub kept: u64,
    /// Page records that became zero pages.
    pub dropped: u64,
}

/// What stays of RAM.
struct Keep {
    /// Pages of rings.
    pages: BTreeSet<Page>,
    /// The head of a ROM, whose page may be one of these.
    rom: Option<OptionRom>,
}

impl Keep {
    fn has(&self, page: Page) -> bool {
        self.pages.contains(&page) || self.rom.is_some_and(|rom| rom.page == page)
    }

    /// What stays of a page that is kept.
    fn blank(&self, page: Page, bytes: &mut [u8]) {
        if !self.pages.contains(&page)
            && let Some(rom) = &self.rom
        {
            rom.blank_rest(bytes);
        }
    }
}

/// Why a stream cannot be redacted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedactError {
    /// It is not known which pages are rings.
    #[error("cannot tell which pages hold rings: {0}")]
    Rings(#[from] MemoryError),
    /// RAM cannot be read.
    #[error(transparent)]
    Ram(#[from] vmstate::Error),
    /// Device state cannot be put back.
    #[error(transparent)]
    State(#[from] ApplyError),
    /// The result cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Writes a stream without the guest's data.
///
/// # Errors
/// If it is not known where rings are, RAM is of a form that cannot be rewritten, or reading or writing
/// fails.
pub fn redact(
    stream: &Stream,
    guest: &Guest,
    source: &dyn Source,
    options: Options,
    out: &mut dyn Write,
) -> Result<Redacted, RedactError> {
    let pages = ring_pages(stream, source)?;
    let mut state = State::new(stream, guest);
    let keep = Keep { pages, rom: OptionRom::of(stream, guest, &state) };
    state.sections.iter_mut().for_each(data::redact);
    if options.identities {
        identity::redact(&mut state);
    }
    let mut shared = state.apply(stream)?;
    mapped::unmap(&mut shared);
    let mut redactor = ram::Redactor::new(stream, source, &keep);
    let mut failed = None;
    shared.write(
        source,
        &mut |section| {
            let body = section.is_ram().then(|| redactor.section(section))?;
            body.map_err(|error| failed.get_or_insert(error).code()).ok()
        },
        out,
    )?;
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(redactor.finish()),
    }
}
