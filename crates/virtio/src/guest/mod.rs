//! A whole guest: every section of a stream, decoded.
//!
//! Virtio devices go through the load procedure, sections that belong to them are typed too, and every
//! other section is decoded by the description the stream carries. What cannot be read is an error of
//! that section alone: the rest is still there.

mod decode;
mod memory;
mod ring_pages;

use std::collections::BTreeMap;

use vmstate::stream::{Section, Stream};
use vmstate::value::StructValue;
use vmstate::{Error, Writer};

pub use memory::MemoryPath;
pub use ring_pages::{Page, ring_pages};

use crate::companion::LoadedCompanion;
use crate::device::DeviceType;
use crate::loaded::Loaded;
use crate::memory::{Layout, MemoryError};
use crate::section::save_section;
use crate::shape::Shape;
use crate::transport::TransportKind;

/// The sections of a stream, decoded.
#[derive(Debug)]
pub struct Guest {
    /// The machine type, if the stream names it.
    pub machine: Option<String>,
    /// Where its RAM lies, or why that is not known.
    pub layout: Result<Layout, MemoryError>,
    /// What each section with a body holds, by the offset of the section.
    contents: BTreeMap<u64, Result<Content, Error>>,
}

/// What a section holds.
#[derive(Debug)]
pub enum Content {
    /// A virtio device.
    Device(Box<DeviceSection>),
    /// State of something that belongs to a virtio device.
    Companion(Box<LoadedCompanion>),
    /// State that the stream's description describes.
    Described(StructValue),
    /// Bytes that nothing describes.
    Raw,
}

/// A section of a virtio device.
#[derive(Debug)]
pub struct DeviceSection {
    /// The device's path.
    pub path: String,
    /// The device's type.
    pub kind: &'static DeviceType,
    /// The transport it sits on.
    pub transport: TransportKind,
    /// What was loaded, and as which shape.
    pub loaded: Result<Loaded, Error>,
    /// As what the section was read, if it could be.
    pub shape: Option<Shape>,
    /// Through what the device's ring memory is reached.
    pub memory: MemoryPath,
}

impl Guest {
    /// What a section holds; `None` for those without device state: RAM, and parts of others.
    #[must_use]
    pub fn content(&self, section: &Section) -> Option<&Result<Content, Error>> {
        self.contents.get(&section.offset)
    }

    /// The virtio devices, with their sections.
    pub fn devices<'a>(
        &'a self,
        stream: &'a Stream,
    ) -> impl Iterator<Item = (&'a Section, &'a DeviceSection)> {
        stream.sections().filter_map(|section| match self.content(section) {
            Some(Ok(Content::Device(device))) => Some((section, device.as_ref())),
            _ => None,
        })
    }
}

impl Content {
    /// The body of the section, written anew; `None` if there is nothing to write it from.
    #[must_use]
    pub fn save(&self) -> Option<Vec<u8>> {
        let mut out = Writer::new();
        match self {
            Self::Device(device) => save_section(&device.loaded.as_ref().ok()?.state, &mut out),
            Self::Companion(companion) => companion.state.save(&mut out),
            Self::Described(value) => value.encode(&mut out),
            Self::Raw => return None,
        }
        Some(out.into_bytes())
    }
}
