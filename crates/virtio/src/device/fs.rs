//! File system device of a vhost-user back-end (virtio 1.3 §5.11): section `vhost-user-fs`, version 0.

use serde::{Deserialize, Serialize};
use vmstate::{Described, Reader, Result, VmState, Writer};

use super::backend::BackendState;
use super::{Data, Device, DeviceType};
use crate::core::BeforeSubsections;
use crate::finding::Findings;

/// State of a file system device: all that is not in core and transport is the back-end's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "vhost-user-fs", version = 0)]
pub struct Fs {
    /// State of the back-end, after the virtio state.
    #[vmstate(subsection)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<FsBackend>,
}

/// `vhost-user-fs-backend`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "vhost-user-fs-backend", version = 0)]
pub struct FsBackend {
    /// What the back-end wrote.
    #[vmstate(rename = "back-end")]
    pub backend: BackendState,
}

impl Device for Fs {
    const TYPE: DeviceType = DeviceType {
        section: "vhost-user-fs",
        version: 0,
        minimum_version: 0,
        id: 26,
        title: "file system device",
        features: &[(0, "NOTIFICATION")],
        queue_name: |index, _| match index {
            0 => "hiprio".to_owned(),
            // QEMU's device has no notification queue.
            _ => format!("requestq{index}"),
        },
        data: Data::After(Self::DESCRIPTION),
        ..DeviceType::PLAIN
    };

    fn load_device(_: &BeforeSubsections, _: &mut Reader<'_>) -> Result<Self> {
        Ok(Self::default())
    }

    fn save_device(&self, _: &mut Writer) {}

    fn load_rest(&mut self, _: &BeforeSubsections, input: &mut Reader<'_>, _: &mut Findings) -> Result<()> {
        *self = Self::load_body(input, Self::TYPE.version, &())?;
        Ok(())
    }

    fn save_rest(&self, out: &mut Writer) {
        VmState::<()>::save_body(self, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::testing::Bench;

    #[test]
    fn round_trips() {
        let bench = Bench::of(const { &Fs::TYPE });
        assert_eq!(bench.round_trip::<Fs>(&[]), Fs::default());
        let data = b"\x05\x15vhost-user-fs-backend\0\0\0\0\0\0\0\x03abc\0\0\0\x01d\0\0\0\0";
        assert!(bench.round_trip::<Fs>(data).backend.is_some());
        let error = bench.load::<Fs>(&data[..data.len() - 4]).unwrap_err();
        assert!(error.path().ends_with("back-end[2]"), "{error}");
    }
}
