//! Device types without data of their own: all their state is in core and transport.
//!
//! For those that a back-end outside QEMU runs, that is what the back-end gave back when it was stopped.

use serde::{Deserialize, Serialize};
use vmstate::{Reader, Result, Writer};

use super::{Device, DeviceType, blk, scsi};
use crate::core::BeforeSubsections;

macro_rules! without_state {
    ($($(#[$doc:meta])* $name:ident: $type:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {}

        impl Device for $name {
            const TYPE: DeviceType = $type;
            fn load_device(_: &BeforeSubsections, _: &mut Reader<'_>) -> Result<Self> {
                Ok(Self {})
            }
            fn save_device(&self, _: &mut Writer) {}
        }
    )*};
}

without_state! {
    /// Entropy device (virtio 1.3 §5.4). A request for entropy that is waiting is not carried.
    Rng: DeviceType { section: "virtio-rng", id: 4, title: "entropy device", ..DeviceType::PLAIN };

    /// Block device of a vhost-user back-end (§5.2). QEMU asks that it logs what it writes to memory.
    VhostUserBlk: DeviceType {
        section: "vhost-user-blk",
        id: 2,
        title: "block device (vhost-user)",
        features: blk::FEATURES,
        queue_name: blk::queue_name,
        ..DeviceType::PLAIN
    };

    /// SCSI host device (§5.6), also that of a vhost-user back-end. Requests in flight are in the
    /// sections of its disks: [`crate::companion`].
    Scsi: DeviceType { section: "virtio-scsi", ..SCSI };

    /// SCSI host device of the host's kernel. QEMU migrates it only with `migratable=on`.
    VhostScsi: DeviceType { section: "virtio-vhost_scsi", title: "SCSI host device (vhost)", ..SCSI };

    /// 9P transport. QEMU does not migrate it while the guest has it mounted.
    NineP: DeviceType {
        section: "virtio-9p",
        id: 9,
        title: "9P transport",
        features: &[(0, "MOUNT_TAG")],
        ..DeviceType::PLAIN
    };

    /// Input device (§5.8): keyboard, mouse, tablet or touch screen.
    Input: DeviceType { section: "virtio-input", ..INPUT };

    /// Socket device of the host's kernel (§5.10). Its connections do not survive: the driver is told.
    Vsock: DeviceType { section: "virtio-vhost_vsock", version: 0, minimum_version: 0, ..VSOCK };
}

const SCSI: DeviceType = DeviceType {
    id: 8,
    title: "SCSI host device",
    features: &[
        (0, "INOUT"),
        (scsi::feature::HOTPLUG, "HOTPLUG"),
        (scsi::feature::CHANGE, "CHANGE"),
        (3, "T10_PI"),
    ],
    queue_name: |index, _| match index {
        0 => "controlq".to_owned(),
        1 => "eventq".to_owned(),
        _ => format!("requestq{}", index - 1),
    },
    ..DeviceType::PLAIN
};

pub(super) const INPUT: DeviceType = DeviceType {
    id: 18,
    title: "input device",
    queue_name: |index, _| if index == 0 { "eventq" } else { "statusq" }.to_owned(),
    ..DeviceType::PLAIN
};

pub(super) const VSOCK: DeviceType = DeviceType {
    id: 19,
    title: "socket device",
    features: &[(0, "STREAM"), (1, "SEQPACKET"), (2, "NO_IMPLIED_STREAM")],
    queue_name: |index, _| ["rx", "tx", "event"].get(index).copied().unwrap_or("?").to_owned(),
    ..DeviceType::PLAIN
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DEVICES;
    use crate::device::testing::Bench;

    #[test]
    fn has_no_data() {
        let bench = Bench::of(const { &Scsi::TYPE });
        bench.round_trip::<Scsi>(&[]);
        assert!(bench.load::<Scsi>(&[0]).is_err());
    }

    #[test]
    fn every_queue_has_a_name() {
        for device in DEVICES {
            let names: Vec<_> = (0..3).map(|index| (device.queue_name)(index, 3)).collect();
            assert!(names.iter().all(|name| !name.is_empty()), "{}: {names:?}", device.section);
        }
        assert_eq!((Scsi::TYPE.queue_name)(2, 3), "requestq1");
    }
}
