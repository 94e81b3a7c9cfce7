//! A stream as a document: what `vmig inspect --json` prints, and what the page is made of.
//!
//! The stable form, described in `docs/json.md`.
//!
//! Addresses and bit sets are strings in hexadecimal, indexes are numbers, what is absent is null or
//! left out. Names do not change; new ones may come.

mod device;
mod stream;

use serde::Serialize;
use vmstate::Error;

pub use device::{DeviceDoc, FeaturesDoc, FindingDoc, LoadedDoc, QueueDoc, StatusDoc, WrapDoc};
pub use stream::{BlockDoc, DomainDoc, PagesDoc, RamDoc, SectionDoc, SnapshotDoc, StreamDoc};

use crate::Reading;

/// A stream, as far as it could be read.
#[derive(Debug, Serialize)]
pub struct Document {
    /// The stream itself.
    pub stream: StreamDoc,
    /// Its RAM, if there is any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ram: Option<RamDoc>,
    /// Its sections, in order.
    pub sections: Vec<SectionDoc>,
    /// The virtio devices, in the order of their sections.
    pub devices: Vec<DeviceDoc>,
    /// How many devices the stream has, of which only some may be shown.
    #[serde(skip)]
    pub devices_total: usize,
    /// What ended the stream early, if something did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorDoc>,
}

/// A failure to read.
#[derive(Debug, Serialize)]
pub struct ErrorDoc {
    /// Its stable code.
    pub code: String,
    /// Section, struct and field.
    pub path: String,
    /// Bytes from the start of the stream.
    pub offset: u64,
    /// What was expected, and what was found.
    pub message: String,
}

impl From<&Error> for ErrorDoc {
    fn from(error: &Error) -> Self {
        Self {
            code: error.code().to_string(),
            path: error.path(),
            offset: error.offset(),
            message: error.kind().to_string(),
        }
    }
}

impl Document {
    /// The document of all that was read.
    #[must_use]
    pub fn new(reading: &Reading<'_>) -> Self {
        let Reading { stream, guest, .. } = *reading;
        Self {
            stream: StreamDoc::new(reading),
            ram: stream.ram.as_ref().map(RamDoc::new),
            sections: stream.sections().map(|section| SectionDoc::new(section, guest)).collect(),
            devices: guest.devices(stream).map(|(section, device)| DeviceDoc::new(section, device)).collect(),
            devices_total: guest.devices(stream).count(),
            error: reading.stopped.map(ErrorDoc::from),
        }
    }
}

/// A section's name, with the instance if it is not the first, as the verbs take it.
fn title(name: &str, instance: u32) -> String {
    match instance {
        0 => name.to_owned(),
        instance => format!("{name}#{instance}"),
    }
}
