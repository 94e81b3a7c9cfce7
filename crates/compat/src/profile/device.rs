//! A virtio device of a destination.

use serde::{Deserialize, Serialize};
use virtio::shape::{Switch, Switches};
use virtio::transport::{ConfigImage, TransportKind};

use super::{Bar, DeviceFacts, Offer};

/// A virtio device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceProfile {
    /// The name of its section.
    pub section: String,
    /// The transport it sits on.
    pub transport: TransportKind,
    /// The features it offers.
    #[serde(default)]
    pub features: Offer,
    /// What its section showed; `None` if the machine was only asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<DeviceState>,
    /// Base address registers, if the machine was asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bars: Vec<Bar>,
}

/// What a device's section shows before a driver has touched the device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceState {
    /// The PCI configuration space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_space: Option<ConfigImage>,
    /// Bytes of the device's own configuration.
    pub config_len: usize,
    /// Entries that each queue has room for.
    pub queues: Vec<u32>,
    /// Properties that change the section's layout and are on.
    #[serde(default)]
    pub switches: Vec<String>,
    /// Subsections that are written.
    #[serde(default)]
    pub subsections: Vec<String>,
    /// What the device compares with its own when it is loaded.
    #[serde(default)]
    pub facts: DeviceFacts,
}

/// The switches, by the name that a profile has for them.
const SWITCHES: [(&str, Switch); 6] = [
    ("multiqueue", Switch::Multiqueue),
    ("packed", Switch::Packed),
    ("big-endian-host", Switch::BigEndianHost),
    ("scanout-v1", Switch::ScanoutV1),
    ("late-migration", Switch::LateMigration),
    ("bare-emulated-requests", Switch::BareEmulatedRequests),
];

/// The names of the switches that are on.
pub(super) fn switch_names(switches: Switches) -> Vec<String> {
    SWITCHES.iter().filter(|(_, switch)| switches.has(*switch)).map(|&(name, _)| name.to_owned()).collect()
}

impl DeviceState {
    /// Whether a switch is on.
    #[must_use]
    pub fn has(&self, switch: Switch) -> bool {
        SWITCHES.iter().any(|(name, known)| *known == switch && self.switches.iter().any(|on| on == name))
    }

    /// Whether a subsection is written.
    #[must_use]
    pub fn writes(&self, subsection: &str) -> bool {
        self.subsections.iter().any(|name| name == subsection)
    }
}

impl DeviceProfile {
    /// Whether it is the same device. QMP does not tell the name of the root bus.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let below_root = |section: &str| match self.transport {
            TransportKind::Pci => section.rsplit_once('/').map(|(path, name)| {
                // `0000:00:03.0` and `pci@800000020000000:03.0` end alike; bridges add `:00.0`.
                let parts: Vec<_> =
                    path.split(':').filter(|part| part.contains('.')).map(str::to_owned).collect();
                format!("{}/{name}", parts.join(":"))
            }),
            _ => Some(section.to_owned()),
        };
        self.transport == other.transport && below_root(&self.section) == below_root(&other.section)
    }

    /// Adds what a second description of the device knows.
    pub(super) fn merge(&mut self, other: Self) {
        // What QEMU said of all bits counts most, then what the section shows, then what properties let
        // expect.
        let shown = self.state.is_some();
        let (first, second) =
            if shown { (self.features, other.features) } else { (other.features, self.features) };
        self.features =
            [first, second].into_iter().find(|offer| offer.is_exact()).unwrap_or(first.or(second));
        self.state = self.state.take().or(other.state);
        if self.bars.is_empty() {
            self.bars = other.bars;
        }
    }
}
