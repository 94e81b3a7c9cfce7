//! Nitro Secure Module (device ID 33; not in virtio 1.3): section `virtio-nsm`, data
//! `virtio-nsm-device`, version 1.

use serde::{Deserialize, Serialize};
use vmstate::types::{Array, Buffer};
use vmstate::{Described, Reader, Result, VmState, Writer};

use super::{Data, Device, DeviceType};
use crate::core::BeforeSubsections;

/// State of a Nitro Secure Module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio-nsm-device")]
pub struct Nsm {
    /// The platform configuration registers.
    pub pcrs: Array<Pcr, 32>,
}

/// A platform configuration register.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "PCR")]
pub struct Pcr {
    /// Whether it can no longer be extended.
    pub locked: bool,
    /// Its SHA-384 value.
    pub data: Buffer<48>,
}

impl Device for Nsm {
    const TYPE: DeviceType = DeviceType {
        section: "virtio-nsm",
        id: 33,
        title: "Nitro Secure Module",
        data: Data::Within(Self::DESCRIPTION),
        ..DeviceType::PLAIN
    };

    fn load_device(_: &BeforeSubsections, input: &mut Reader<'_>) -> Result<Self> {
        Self::load_body(input, Self::TYPE.version, &())
    }

    fn save_device(&self, out: &mut Writer) {
        VmState::<()>::save_body(self, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::testing::{Bench, saved};

    #[test]
    fn round_trips() {
        let mut nsm = Nsm::default();
        nsm.pcrs.set(15, Pcr { locked: true, data: Buffer::new([0xa5; 48]) });
        let data = saved(&nsm);
        assert_eq!(data.len(), 1568);
        let bench = Bench::of(const { &Nsm::TYPE });
        assert_eq!(bench.round_trip::<Nsm>(&data), nsm);
        assert!(bench.load::<Nsm>(&data[1..]).is_err());
    }
}
