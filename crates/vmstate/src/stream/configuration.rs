//! The configuration section: the machine type, and what both sides must have in common.
//!
//! It stands right after the header, with neither name nor version nor footer of its own.

use serde::{Deserialize, Serialize};

use crate::VmState;
use crate::types::{Buffer, Counted};

/// The configuration section.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[serde(into = "Form", try_from = "Form")]
#[vmstate(name = "configuration", version = 1, minimum_version = 0)]
pub struct Configuration {
    /// Bytes of the name.
    pub len: u32,
    /// The name of the machine type, with its version.
    #[vmstate(count = len, max = 255)]
    pub name: Vec<u8>,
    /// Bits of a page's size, where the target has a choice (Arm).
    #[vmstate(subsection)]
    pub target_page_bits: Option<TargetPageBits>,
    /// Capabilities that both sides must have on.
    #[vmstate(subsection)]
    pub capabilities: Option<Capabilities>,
    /// The machine's UUID, if it is to be compared.
    #[vmstate(subsection)]
    pub uuid: Option<Uuid>,
}

/// `configuration/target-page-bits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, VmState)]
#[vmstate(name = "configuration/target-page-bits")]
pub struct TargetPageBits {
    /// A target page has 2 to this power bytes.
    pub target_page_bits: u32,
}

/// `configuration/capabilities`.
#[derive(Debug, Clone, Default, PartialEq, Eq, VmState)]
#[vmstate(name = "configuration/capabilities")]
pub struct Capabilities {
    /// How many there are.
    pub caps_count: u32,
    /// The capabilities that are on.
    #[vmstate(count = caps_count, max = 64)]
    pub capabilities: Vec<Capability>,
}

/// A capability that is on.
#[derive(Debug, Clone, Default, PartialEq, Eq, VmState)]
#[vmstate(name = "capability")]
pub struct Capability {
    /// Its name.
    #[vmstate(max = 255)]
    pub name: Counted<u8, u8>,
}

/// `configuration/uuid`.
#[derive(Debug, Clone, Default, PartialEq, Eq, VmState)]
#[vmstate(name = "configuration/uuid")]
pub struct Uuid {
    /// The UUID.
    pub data: Buffer<16>,
}

/// The configuration section in JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    machine: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target_page_bits: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capabilities: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uuid: Option<Buffer<16>>,
}

impl From<Configuration> for Form {
    fn from(configuration: Configuration) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let names = |all: Capabilities| all.capabilities.iter().map(|one| text(&one.name)).collect();
        Self {
            machine: configuration.machine(),
            target_page_bits: configuration.target_page_bits.map(|bits| bits.target_page_bits),
            capabilities: configuration.capabilities.map(names),
            uuid: configuration.uuid.map(|uuid| uuid.data),
        }
    }
}

impl TryFrom<Form> for Configuration {
    type Error = String;
    fn try_from(form: Form) -> Result<Self, String> {
        let length = |length: usize, most: usize, what: &str| match u32::try_from(length) {
            Ok(length) if length as usize <= most => Ok(length),
            _ => Err(format!("{what} of {length}, at most {most}")),
        };
        let capabilities = form.capabilities.map(|names| {
            let caps_count = length(names.len(), 64, "a list of capabilities")?;
            let capability = |name: String| Capability { name: name.into_bytes().into() };
            Ok::<_, String>(Capabilities {
                caps_count,
                capabilities: names.into_iter().map(capability).collect(),
            })
        });
        Ok(Self {
            len: length(form.machine.len(), 255, "a machine type's name")?,
            name: form.machine.into_bytes(),
            target_page_bits: form
                .target_page_bits
                .map(|target_page_bits| TargetPageBits { target_page_bits }),
            capabilities: capabilities.transpose()?,
            uuid: form.uuid.map(|data| Uuid { data }),
        })
    }
}

impl Configuration {
    /// The name of the machine type.
    #[must_use]
    pub fn machine(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }

    /// Whether a capability is on.
    #[must_use]
    pub fn has_capability(&self, name: &str) -> bool {
        let capabilities = self.capabilities.iter().flat_map(|capabilities| &capabilities.capabilities);
        capabilities.into_iter().any(|capability| capability.name.as_slice() == name.as_bytes())
    }

    /// Puts a capability on or off. A list of none is left out, as QEMU does.
    pub fn set_capability(&mut self, name: &str, on: bool) {
        let mut capabilities = self.capabilities.take().unwrap_or_default();
        capabilities.capabilities.retain(|capability| capability.name.as_slice() != name.as_bytes());
        if on {
            capabilities.capabilities.push(Capability { name: name.as_bytes().to_vec().into() });
        }
        capabilities.caps_count = u32::try_from(capabilities.capabilities.len()).unwrap_or(u32::MAX);
        self.capabilities = Some(capabilities).filter(|it| it.caps_count > 0);
    }

    /// Bytes of a target page, if the section says so.
    #[must_use]
    pub fn page_size(&self) -> Option<u64> {
        1_u64.checked_shl(self.target_page_bits?.target_page_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_go_on_and_off() {
        let mut configuration = Configuration::default();
        configuration.set_capability("mapped-ram", true);
        configuration.set_capability("mapped-ram", true);
        assert!(configuration.has_capability("mapped-ram"));
        assert_eq!(configuration.capabilities.as_ref().unwrap().caps_count, 1);
        configuration.set_capability("x-ignore-shared", true);
        configuration.set_capability("mapped-ram", false);
        assert!(!configuration.has_capability("mapped-ram"));
        assert!(configuration.has_capability("x-ignore-shared"));
        configuration.set_capability("x-ignore-shared", false);
        assert_eq!(configuration, Configuration::default());
    }
}
