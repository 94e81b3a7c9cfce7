//! A destination, recorded once: what must be known of a machine to say which streams it loads.
//!
//! A profile is made [from a stream](from_stream) that the machine wrote before its guest ran, [from
//! what it answered](from_qmp_record) over QMP, or from both ([`Profile::merge`]). The stream tells
//! sections, versions, PCI configuration, queue sizes and vectors; only QMP tells which features a device
//! offers. What neither told stays unknown, and [`check`](crate::verdict::check) says where that matters.
//!
//! A profile is kept as JSON with a format version; unknown keys are refused, since they could matter.

mod bars;
mod device;
mod facts;
mod layout;
mod offer;
mod properties;
mod qemu;
mod qmp;
mod qtree;
mod record;
mod stream;
mod told;

use serde::{Deserialize, Serialize};

pub use bars::Bar;
pub use device::{DeviceProfile, DeviceState};
pub use facts::DeviceFacts;
pub use layout::{ArrayShape, Check, Checked, Layout, Space, SubsectionShape};
pub use offer::Offer;
pub use qemu::{QemuVersion, Release};
pub use qmp::{QmpError, ask};
pub use record::{QmpRecord, VirtioRecord, from_qmp_record};
pub use stream::from_stream;
pub(crate) use stream::sections_of;

/// The version of the format that this code reads and writes.
pub const FORMAT: u32 = 1;

/// A destination. What is not known is `None` or empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The version of the format: [`FORMAT`].
    pub profile_version: u32,
    /// The machine type, as the stream's configuration names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// The QEMU, as far as it is known.
    #[serde(default)]
    pub qemu: QemuVersion,
    /// Bits of a target page's size, where the target has a choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_page_bits: Option<u32>,
    /// Migration capabilities that are on, if the machine was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<String>>,
    /// CPUs there can be at most, if the machine was asked; those that are there show in the sections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cpus: Option<u64>,
    /// Pieces of RAM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ram: Option<Vec<RamBlock>>,
    /// The sections it writes, in their order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sections: Option<Vec<SectionProfile>>,
    /// The virtio devices.
    #[serde(default)]
    pub devices: Vec<DeviceProfile>,
    /// Virtio devices without a section, by QEMU's name of the type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_section: Vec<String>,
}

/// A piece of RAM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RamBlock {
    /// Its name.
    pub name: String,
    /// Bytes in use.
    pub bytes: u64,
    /// Bytes it can grow to, if the machine was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<u64>,
}

/// A section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SectionProfile {
    /// Its name (idstr).
    pub name: String,
    /// Which of that name.
    #[serde(default)]
    pub instance: u32,
    /// The version it is written in, which is the newest that is read.
    pub version: u32,
    /// What its description says of the bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
}

/// Why a profile could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// It is not JSON, or not that of a profile.
    #[error("not a profile: {0}")]
    Json(#[from] serde_json::Error),
    /// Another version of the format.
    #[error("profile version {found}, expected {FORMAT}: record the destination again with `vmig profile`")]
    Version {
        /// The version found.
        found: u64,
    },
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            profile_version: FORMAT,
            machine: None,
            qemu: QemuVersion::default(),
            target_page_bits: None,
            capabilities: None,
            max_cpus: None,
            ram: None,
            sections: None,
            devices: Vec::new(),
            without_section: Vec::new(),
        }
    }
}

impl Profile {
    /// Whether a JSON document is meant to be a profile.
    #[must_use]
    pub fn is_profile(json: &serde_json::Value) -> bool {
        json.get("profile_version").is_some()
    }

    /// Reads a profile.
    ///
    /// # Errors
    /// If the JSON is not that of a profile of this version.
    pub fn from_json(json: serde_json::Value) -> Result<Self, ProfileError> {
        match json.get("profile_version").and_then(serde_json::Value::as_u64) {
            Some(found) if found != u64::from(FORMAT) => Err(ProfileError::Version { found }),
            _ => Ok(serde_json::from_value(json)?),
        }
    }

    /// Adds what another profile of the same machine knows; where both know something, the other one
    /// counts for what can only be asked for (features, capabilities), this one for the rest.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.machine = self.machine.or(other.machine);
        self.qemu = self.qemu.narrowed_by(&other.qemu);
        self.target_page_bits = self.target_page_bits.or(other.target_page_bits);
        self.capabilities = other.capabilities.or(self.capabilities);
        self.max_cpus = other.max_cpus.or(self.max_cpus);
        self.ram = match (self.ram, other.ram) {
            (Some(mine), Some(theirs)) => Some(merge_ram(mine, &theirs)),
            (mine, theirs) => mine.or(theirs),
        };
        self.sections = self.sections.or(other.sections);
        for device in other.devices {
            match self.devices.iter_mut().find(|mine| mine.is_same(&device)) {
                Some(mine) => mine.merge(device),
                None => self.devices.push(device),
            }
        }
        for name in other.without_section {
            if !self.without_section.contains(&name) {
                self.without_section.push(name);
            }
        }
        self
    }

    /// The section of this name and instance.
    #[must_use]
    pub fn section(&self, name: &str, instance: u32) -> Option<&SectionProfile> {
        let mut sections = self.sections.iter().flatten();
        sections.find(|section| section.name == name && section.instance == instance)
    }

    /// The device that has this section.
    #[must_use]
    pub fn device(&self, section: &str) -> Option<&DeviceProfile> {
        self.devices.iter().find(|device| device.section == section)
    }

    /// CPUs that are there, if the sections are known.
    #[must_use]
    pub fn cpus(&self) -> Option<u64> {
        let sections = self.sections.as_ref()?;
        let cpus = sections.iter().filter(|section| section.name == "cpu_common").count() as u64;
        (cpus > 0).then_some(cpus)
    }
}

fn merge_ram(mut mine: Vec<RamBlock>, theirs: &[RamBlock]) -> Vec<RamBlock> {
    for block in &mut mine {
        let other = theirs.iter().find(|other| other.name == block.name);
        block.most = block.most.or(other.and_then(|other| other.most));
    }
    mine
}
