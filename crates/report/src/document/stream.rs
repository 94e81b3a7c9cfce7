//! The stream, its RAM and its sections in the document.

use image::{Save, Snapshot};
use serde::Serialize;
use serde_json::Value;
use virtio::guest::{Content, Guest};
use vmstate::ram::{Block, Ram};
use vmstate::stream::Section;

use super::device::to_value;
use super::{ErrorDoc, FindingDoc, title};
use crate::Reading;

/// The stream itself.
#[derive(Debug, Serialize)]
pub struct StreamDoc {
    /// The version in its header.
    pub version: u32,
    /// The machine type.
    pub machine: Option<String>,
    /// Bytes of the stream, without container or compression.
    pub bytes: u64,
    /// What the stream was found in: `raw`, or the layers from the outside in, as `libvirt+zstd`.
    pub container: String,
    /// The guest of a libvirt save image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<DomainDoc>,
    /// The same guest as libvirt describes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain_xml: Option<String>,
    /// The snapshot of a qcow2 image that was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotDoc>,
    /// Bytes after the end of the stream, which belong to nobody.
    pub trailing: u64,
}

/// The guest of a libvirt save image.
#[derive(Debug, Serialize)]
pub struct DomainDoc {
    /// Its name.
    pub name: Option<String>,
    /// Its UUID.
    pub uuid: Option<String>,
    /// Whether it was running, and is to run when it is restored.
    pub was_running: bool,
}

/// A snapshot of a qcow2 image.
#[derive(Debug, Serialize)]
pub struct SnapshotDoc {
    /// Its number, as a string.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was taken: `2026-11-25T00:20:44Z`.
    pub date: String,
}

/// RAM: its blocks, and how many pages of it the stream has.
#[derive(Debug, Serialize)]
pub struct RamDoc {
    /// The blocks, in the order of the block list.
    pub blocks: Vec<BlockDoc>,
    /// The page records.
    pub pages: PagesDoc,
}

/// A block of RAM.
#[derive(Debug, Serialize)]
pub struct BlockDoc {
    /// Its name.
    pub name: String,
    /// Bytes in use.
    pub bytes: u64,
}

/// Page records, of which a page has one for each time it was sent.
#[derive(Debug, Serialize)]
pub struct PagesDoc {
    /// With a whole page.
    pub normal: u64,
    /// Of a page of zeros.
    pub zero: u64,
    /// With changes to a page.
    pub xbzrle: u64,
}

/// A section.
#[derive(Debug, Serialize)]
pub struct SectionDoc {
    /// The number the source gave it.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Which of several of that name.
    pub instance: u32,
    /// The version of its body.
    pub version: u32,
    /// `start`, `part`, `end` or `full`.
    pub kind: String,
    /// From the start of the stream to the section's marker.
    pub offset: u64,
    /// Of the body, without header and footer.
    pub bytes: u64,
    /// The section's state, if it was asked for; devices have theirs under `devices`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Value>,
    /// How `state` was read: `typed`, or `described` by the stream's own description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoded: Option<&'static str>,
    /// What is wrong with state that belongs to a device; devices have theirs under `devices`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<FindingDoc>,
    /// What keeps it from being read, if something does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorDoc>,
}

impl StreamDoc {
    pub(super) fn new(reading: &Reading<'_>) -> Self {
        let save = reading.container.libvirt();
        Self {
            version: reading.stream.version,
            machine: reading.guest.machine.clone(),
            bytes: reading.stream.bytes,
            container: reading.container.to_string(),
            domain: save.map(DomainDoc::from),
            domain_xml: save.map(|save| save.domain_xml.clone()),
            snapshot: reading.container.snapshot().map(SnapshotDoc::from),
            trailing: reading.stream.trailing,
        }
    }
}

impl From<&Save> for DomainDoc {
    fn from(save: &Save) -> Self {
        Self { name: save.name.clone(), uuid: save.uuid.clone(), was_running: save.was_running }
    }
}

impl From<&Snapshot> for SnapshotDoc {
    fn from(snapshot: &Snapshot) -> Self {
        Self { id: snapshot.id.clone(), name: snapshot.name.clone(), date: snapshot.date() }
    }
}

impl RamDoc {
    pub(super) fn new(ram: &Ram) -> Self {
        let block = |block: &Block| BlockDoc { name: block.name.clone(), bytes: block.bytes };
        Self {
            blocks: ram.blocks.iter().map(block).collect(),
            pages: PagesDoc { normal: ram.normal, zero: ram.zero, xbzrle: ram.xbzrle },
        }
    }
}

impl SectionDoc {
    pub(super) fn new(section: &Section, guest: &Guest) -> Self {
        let content = guest.content(section);
        let (state, decoded, findings) = match content {
            Some(Ok(Content::Companion(companion))) => {
                let findings = companion.findings.iter().map(FindingDoc::from).collect();
                (Some(to_value(&companion.state)), Some("typed"), findings)
            }
            Some(Ok(Content::Described(value))) => (Some(to_value(value)), Some("described"), Vec::new()),
            _ => (None, None, Vec::new()),
        };
        Self {
            id: section.id,
            name: section.name.clone(),
            instance: section.instance,
            version: section.version,
            kind: section.kind.to_string(),
            offset: section.offset,
            bytes: section.body_bytes,
            state,
            decoded,
            findings,
            error: content.and_then(|content| content.as_ref().err()).map(ErrorDoc::from),
        }
    }

    /// Its name, with the instance if it is not the first.
    #[must_use]
    pub fn title(&self) -> String {
        title(&self.name, self.instance)
    }
}
