//! What is plugged of a memory device: section `virtio-mem-device-early`, version 1.
//!
//! It comes before RAM, and has what [`crate::device::mem::Mem`] has on machines up to 7.2.

use serde::{Deserialize, Serialize};
use vmstate::types::Bitmap;
use vmstate::{Described, Reader, Result, VmState, Writer};

use super::{CompanionState, CompanionType};
use crate::device::mem::MemProperties;
use crate::finding::Findings;
use crate::shape::Switches;

/// What is plugged of a memory device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio-mem-device-early")]
pub struct MemEarly {
    /// Properties that must be as on the destination.
    #[vmstate(rename = "tmp")]
    pub properties: MemProperties,
    /// Bytes that are plugged.
    pub size: u64,
    /// A bit for each block that is plugged.
    #[vmstate(count = properties.blocks())]
    pub bitmap: Bitmap,
}

impl CompanionState for MemEarly {
    const TYPE: CompanionType = CompanionType {
        section: "virtio-mem-device-early",
        version: 1,
        minimum_version: 1,
        title: "plugged blocks of a memory device",
        on_bus: false,
        description: Self::DESCRIPTION,
        switches: &[],
    };

    fn load(_: Switches, input: &mut Reader<'_>) -> Result<Self> {
        Self::load_body(input, Self::TYPE.version, &())
    }

    fn save(&self, out: &mut Writer) {
        VmState::<()>::save_body(self, out);
    }

    fn check(&self, findings: &mut Findings) {
        self.properties.check(self.size, &self.bitmap, findings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::companion::testing::{round_trip, saved};
    use crate::companion::{Companion, LoadedCompanion};
    use crate::device::testing::only;
    use crate::finding::Severity;

    fn mem() -> MemEarly {
        let properties = MemProperties { addr: 1 << 32, region_size: 64 << 21, block_size: 1 << 21, node: 0 };
        MemEarly { properties, size: 2 << 21, bitmap: vec![0b11].into() }
    }

    fn load(mem: &MemEarly) -> LoadedCompanion {
        round_trip(&MemEarly::TYPE, &saved(mem)).1
    }

    #[test]
    fn round_trips() {
        let loaded = load(&mem());
        assert_eq!(loaded.state, Companion::MemEarly(mem()));
        assert!(loaded.findings.is_empty());
    }

    #[test]
    fn finds_what_the_device_finds() {
        let loaded = load(&MemEarly { size: 1 << 21, ..mem() });
        let (message, severity) = only(&loaded.findings);
        assert!(message.starts_with("VM0451 size is 0x200000, expected 0x400000"), "{message}");
        assert_eq!(severity, Severity::Warning);
    }

    #[test]
    fn refuses_other_versions_and_leftover_bytes() {
        let mut body = saved(&mem());
        let error = Companion::load_unknown(&MemEarly::TYPE, 2, &Reader::new(&body, 0)).unwrap_err();
        assert_eq!(error.to_string(), "at 0x0: version 2, expected 1 to 1");
        body.push(0);
        let error = Companion::load_unknown(&MemEarly::TYPE, 1, &Reader::new(&body, 0)).unwrap_err();
        assert_eq!(error.to_string(), "at 0x2c: 1 bytes are left over after the last field");
    }
}
