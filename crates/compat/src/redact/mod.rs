//! A stream without the guest's data: device state and ring pages stay, all other RAM is zero.
//!
//! What remains is what a bug report about virtio needs, and what a fixture is made of. Besides RAM, guest
//! data in device state is blanked: the pixels of a GPU's resources. [`Options::mac`] also replaces MAC
//! addresses. What other devices hold (registers of processors, packets of user-mode networking) stays.

mod device;
mod ram;

use std::io::Write;

use virtio::guest::{Guest, ring_pages};
use virtio::memory::MemoryError;
use vmstate::source::Source;
use vmstate::stream::{Stream, WriteError};

use crate::state::{ApplyError, State};

/// What is replaced beside RAM.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// MAC addresses of virtio network devices.
    pub mac: bool,
}

/// What was kept and dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Redacted {
    /// Page records that were kept: they hold a part of a ring.
    pub kept: u64,
    /// Page records that became zero pages.
    pub dropped: u64,
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
    for section in &mut state.sections {
        device::redact(&section.name, &mut section.state, options);
    }
    let stream = state.apply(stream)?;
    let mut redactor = ram::Redactor::new(&stream, source, &pages);
    let mut failed = None;
    stream.write(
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
