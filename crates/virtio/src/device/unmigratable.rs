//! Device types that QEMU does not migrate. A stream cannot have their sections; they are known by name
//! so that they can be spoken of.

use super::DeviceType;
use super::no_state::{INPUT, VSOCK};

/// What QEMU says of a machine with such a device, on both sides.
const BLOCKED: &str = "State blocked by non-migratable device";

/// A type whose section is marked unmigratable. Its version means nothing, since there is no section.
const BLOCKING: DeviceType = DeviceType { unmigratable: Some(BLOCKED), ..DeviceType::PLAIN };

/// The types.
pub static UNMIGRATABLE: &[DeviceType] = &[
    DeviceType {
        section: "virtio-crypto",
        id: 20,
        title: "crypto device",
        features: &[
            (0, "REVISION_1"),
            (1, "CIPHER_STATELESS_MODE"),
            (2, "HASH_STATELESS_MODE"),
            (3, "MAC_STATELESS_MODE"),
            (4, "AEAD_STATELESS_MODE"),
            (5, "AKCIPHER_STATELESS_MODE"),
        ],
        queue_name: |index, count| match index {
            _ if index + 1 == count => "controlq".to_owned(),
            _ => format!("dataq{}", index + 1),
        },
        ..BLOCKING
    },
    DeviceType { section: "virtio-input-host", unmigratable: Some(BLOCKED), ..INPUT },
    DeviceType { section: "vhost-user-input", unmigratable: Some(BLOCKED), ..INPUT },
    DeviceType { section: "virtio-sound-device", ..SOUND },
    DeviceType { section: "vhost-user-snd", ..SOUND },
    DeviceType { section: "vhost-user-vsock", unmigratable: Some(BLOCKED), ..VSOCK },
    DeviceType { section: "vhost-user-rng", id: 4, title: "entropy device (vhost-user)", ..BLOCKING },
    DeviceType {
        section: "vhost-user-i2c",
        id: 34,
        title: "I2C adapter",
        features: &[(0, "ZERO_LENGTH_REQUEST")],
        ..BLOCKING
    },
    DeviceType {
        section: "vhost-user-gpio",
        id: 41,
        title: "GPIO device",
        features: &[(0, "IRQ")],
        queue_name: |index, _| if index == 0 { "requestq" } else { "eventq" }.to_owned(),
        ..BLOCKING
    },
    DeviceType {
        section: "vhost-user-scmi",
        id: 32,
        title: "SCMI device",
        features: &[(0, "P2A_CHANNELS"), (1, "SHARED_MEMORY")],
        queue_name: |index, _| if index == 0 { "cmdq" } else { "eventq" }.to_owned(),
        ..BLOCKING
    },
    DeviceType {
        section: "vhost-user-device",
        title: "any device (vhost-user)",
        queue_name: by_number,
        ..BLOCKING
    },
    DeviceType {
        section: "vhost-vdpa-device",
        title: "any device (vhost-vdpa)",
        queue_name: by_number,
        ..BLOCKING
    },
];

const SOUND: DeviceType = DeviceType {
    id: 25,
    title: "sound device",
    features: &[(0, "CTLS")],
    queue_name: |index, _| ["controlq", "eventq", "txq", "rxq"].get(index).copied().unwrap_or("?").to_owned(),
    ..BLOCKING
};

fn by_number(index: usize, _: usize) -> String {
    format!("queue {index}")
}
