//! Memory device (virtio 1.3 §5.15): section `virtio-mem`, data `virtio-mem-device`, version 1.
//!
//! Since 8.0 machines what is plugged comes in a section of its own before the RAM, so that RAM can be
//! received where it is: [`crate::companion::MemEarly`]. Before, it was here.

use serde::{Deserialize, Serialize};
use vmstate::types::Bitmap;
use vmstate::{Described, Reader, Result, VmState, Writer};

use super::{Data, Device, DeviceType, Known};
use crate::core::BeforeSubsections;
use crate::finding::{Findings, Severity};
use crate::shape::Switch;

/// State of a memory device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio-mem-device", context = BeforeSubsections)]
pub struct Mem {
    /// Properties that must be as on the destination; in the early section since 8.0 machines.
    #[vmstate(rename = "tmp", when = cx.shape.switches.has(Switch::LateMigration))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub properties: Option<MemProperties>,
    /// Bytes of the region that the driver may use.
    pub usable_region_size: u64,
    /// Bytes that are plugged; in the early section since 8.0 machines.
    #[vmstate(when = properties.is_some())]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Bytes that the host wants to be plugged.
    pub requested_size: u64,
    /// A bit for each block that is plugged; in the early section since 8.0 machines.
    #[vmstate(when = properties.is_some(), count = properties.map_or(0, |p: MemProperties| p.blocks()))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bitmap: Option<Bitmap>,
}

/// Properties of a memory device that the destination compares with its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio-mem-device/sanity-checks", version = 0)]
pub struct MemProperties {
    /// `memaddr`: guest-physical address of the region.
    #[serde(with = "crate::address")]
    pub addr: u64,
    /// Bytes of the region.
    pub region_size: u64,
    /// Bytes of a block, the least that is plugged.
    pub block_size: u64,
    /// NUMA node.
    pub node: u32,
}

impl MemProperties {
    /// How many blocks the region has: as many bits as the bitmap.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.region_size.checked_div(self.block_size).unwrap_or(0)
    }

    /// Checks the properties, and what is plugged against them.
    pub(crate) fn check(&self, size: u64, bitmap: &Bitmap, findings: &mut Findings) {
        let Self { addr, region_size, block_size, .. } = *self;
        let fits = |value: u64| value.is_multiple_of(block_size);
        if !block_size.is_power_of_two() || !fits(addr) || !fits(region_size) {
            let message = format!(
                "{region_size:#x} bytes at {addr:#x} are not blocks of {block_size:#x} bytes: no destination has such a device"
            );
            findings.add_device(450, Severity::FailsLoad, message);
            return;
        }
        let plugged = bitmap.count_ones().saturating_mul(block_size);
        if plugged != size {
            let message =
                format!("size is {size:#x}, expected {plugged:#x}, the bytes of the blocks in the bitmap");
            findings.add_device(451, Severity::Warning, message);
        }
    }
}

impl Device for Mem {
    const TYPE: DeviceType = DeviceType {
        section: "virtio-mem",
        id: 24,
        title: "memory device",
        features: &[(0, "ACPI_PXM"), (1, "UNPLUGGED_INACCESSIBLE"), (2, "PERSISTENT_SUSPEND")],
        queue_name: |_, _| "guest-request".to_owned(),
        switches: &[Switch::LateMigration],
        data: Data::Within(Self::DESCRIPTION),
        ..DeviceType::PLAIN
    };

    fn load_device(cx: &BeforeSubsections, input: &mut Reader<'_>) -> Result<Self> {
        Self::load_body(input, Self::TYPE.version, cx)
    }

    fn save_device(&self, out: &mut Writer) {
        self.save_body(out);
    }

    fn post_load(&mut self, _: &Known<'_>, findings: &mut Findings) {
        if let (Some(properties), Some(size), Some(bitmap)) = (&self.properties, self.size, &self.bitmap) {
            properties.check(size, bitmap, findings);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::testing::{Bench, saved};

    fn bench() -> Bench {
        Bench::of(const { &Mem::TYPE })
    }

    fn late() -> Mem {
        let properties =
            MemProperties { addr: 1 << 32, region_size: 100 << 21, block_size: 1 << 21, node: 0 };
        Mem {
            properties: Some(properties),
            usable_region_size: 100 << 21,
            size: Some(3 << 21),
            requested_size: 4 << 21,
            bitmap: Some(vec![0b101, 1 << 35].into()),
        }
    }

    #[test]
    fn round_trips_in_both_layouts() {
        let early = Mem { usable_region_size: 1 << 30, requested_size: 1 << 21, ..Mem::default() };
        assert_eq!(bench().round_trip::<Mem>(&saved(&early)), early);
        let bench = bench().switch(Switch::LateMigration);
        assert_eq!(bench.round_trip::<Mem>(&saved(&late())), late());
    }

    #[test]
    fn finds_properties_that_no_device_has() {
        let bench = bench().switch(Switch::LateMigration);
        for (addr, block_size, bitmap) in [(0, 0, vec![]), (0, 3 << 21, vec![0]), (1, 1 << 21, vec![0, 0])] {
            let properties = MemProperties { addr, block_size, ..late().properties.unwrap() };
            let mem = Mem { properties: Some(properties), bitmap: Some(bitmap.into()), ..late() };
            let (message, severity) = bench.finding::<Mem>(&saved(&mem));
            assert!(message.starts_with("VM0450 0xc800000 bytes at"), "{message}");
            assert_eq!(severity, Severity::FailsLoad);
        }
    }

    #[test]
    fn finds_a_size_that_is_not_that_of_the_bitmap() {
        let mem = Mem { size: Some(2 << 21), ..late() };
        let finding = bench().switch(Switch::LateMigration).finding::<Mem>(&saved(&mem));
        let message = "VM0451 size is 0x400000, expected 0x600000, the bytes of the blocks in the bitmap";
        assert_eq!(finding, (message.to_owned(), Severity::Warning));
    }

    #[test]
    fn refuses_a_bitmap_larger_than_the_input() {
        let properties = MemProperties { region_size: u64::MAX, block_size: 1, ..MemProperties::default() };
        let mem = Mem { properties: Some(properties), ..late() };
        let error = bench().switch(Switch::LateMigration).load::<Mem>(&saved(&mem)).unwrap_err();
        assert!(error.path().ends_with("bitmap"), "{error}");
    }
}
