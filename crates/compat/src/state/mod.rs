//! The state of a guest as JSON, and back: everything in a stream but RAM.
//!
//! [`State::new`] takes a decoded stream apart; [`State::apply`] puts changed state back into the stream
//! that it was taken from, which still has the RAM. Unchanged state gives the same bytes.

mod apply;
mod description;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use virtio::guest::{Content, Guest};
use vmstate::stream::{Configuration, Section, Stream};

pub use apply::ApplyError;

/// What the JSON says that it is.
const FORMAT: &str = "vmig-state";
/// The only version of it.
const VERSION: u32 = 1;

/// The state of a guest, without its RAM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Always `vmig-state`.
    format: String,
    /// Of this form.
    version: u32,
    /// Machine type and capabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Configuration>,
    /// Every section that has state of its own, in stream order.
    pub sections: Vec<SectionState>,
}

/// The state of a section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SectionState {
    /// Its name.
    pub name: String,
    /// Which of several of that name.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub instance: u32,
    /// The version of its body.
    pub version: u32,
    /// The body: typed where it belongs to a virtio device, by the stream's description elsewhere, and raw
    /// bytes in hexadecimal where nothing describes it.
    pub state: Value,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(instance: &u32) -> bool {
    *instance == 0
}

impl State {
    /// The state in a stream. A section that could not be read stands as raw bytes.
    #[must_use]
    pub fn new(stream: &Stream, guest: &Guest) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            configuration: stream.configuration.clone(),
            sections: stream.sections().filter_map(|section| SectionState::new(section, guest)).collect(),
        }
    }

    /// The section of this name and instance.
    #[must_use]
    pub fn section(&self, name: &str, instance: u32) -> Option<&SectionState> {
        self.sections.iter().find(|section| section.name == name && section.instance == instance)
    }

    /// The section of this name and instance.
    pub fn section_mut(&mut self, name: &str, instance: u32) -> Option<&mut SectionState> {
        self.sections.iter_mut().find(|section| section.name == name && section.instance == instance)
    }
}

impl SectionState {
    fn new(section: &Section, guest: &Guest) -> Option<Self> {
        let body = section.body()?;
        let typed = guest.content(section).and_then(|content| content_json(content.as_ref().ok()?));
        Some(Self {
            name: section.name.clone(),
            instance: section.instance,
            version: section.version,
            state: typed.unwrap_or_else(|| Value::String(hex::encode(body))),
        })
    }

    /// The name, with the instance if it is not the first.
    #[must_use]
    pub fn title(&self) -> String {
        match self.instance {
            0 => self.name.clone(),
            instance => format!("{}#{instance}", self.name),
        }
    }
}

/// The JSON form of a section's content, if it has one but its bytes.
pub(crate) fn content_json(content: &Content) -> Option<Value> {
    match content {
        Content::Device(device) => serde_json::to_value(&device.loaded.as_ref().ok()?.state).ok(),
        Content::Companion(companion) => serde_json::to_value(&companion.state).ok(),
        Content::Described(value) => serde_json::to_value(value).ok(),
        Content::Raw => None,
    }
}
