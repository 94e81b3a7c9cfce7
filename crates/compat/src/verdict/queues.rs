//! Queues: newer releases refuse one with more entries than their own device gives it.

use virtio::core::{Ring, VIRTIO_QUEUE_MAX};
use virtio::device::DeviceType;

use super::{Reason, code};
use crate::defect::FORCED_QUEUE_SIZE;
use crate::profile::QemuVersion;

/// The option that gives a queue of a device more entries, by the name of the device's section.
///
/// Of net's queues the control queue, which is the last, has none; of scsi's all have it.
const SIZE_OPTIONS: [(&str, &str); 4] = [
    ("virtio-blk", "queue-size"),
    ("vhost-user-blk", "queue-size"),
    ("virtio-scsi", "virtqueue_size"),
    ("virtio-vhost_scsi", "virtqueue_size"),
];

pub(super) fn check(
    device: &str,
    kind: &DeviceType,
    rings: &[Ring],
    local: &[u32],
    qemu: &QemuVersion,
    reasons: &mut Vec<Reason>,
) {
    let room = |index: usize| room(kind, index, rings.len(), local);
    let too_large: Vec<_> = rings.iter().filter(|ring| ring.size > room(ring.index)).collect();
    let Some(first) = too_large.first() else { return };
    let Some(compares) = compares(qemu) else {
        let reason = Reason::open(code::QUEUE_SIZE_UNKNOWN, fields(&too_large)).at(device);
        let reason =
            reason.found(sizes(&too_large), format!("at most {}, if {qemu} compares", room(first.index)));
        reasons.push(reason.remedy("record the destination's version: vmig profile"));
        return;
    };
    if !compares {
        return;
    }
    let rooms: Vec<_> = too_large.iter().map(|ring| room(ring.index).to_string()).collect();
    let message =
        format!("VQ {} vring.num {} exceeds allocated max {}", first.index, first.size, room(first.index));
    let reason = Reason::refused(code::QUEUE_SIZE, fields(&too_large)).at(device);
    let reason = reason.found(sizes(&too_large), format!("at most {}", rooms.join(", "))).says(message);
    let reason = reason.remedy(remedy(kind, &too_large, rings.len()));
    let is_forced = too_large.iter().any(|ring| ring.size as usize == VIRTIO_QUEUE_MAX);
    reasons.push(if is_forced { reason.because_of(&FORCED_QUEUE_SIZE) } else { reason });
}

/// Whether the destination compares sizes, if that is known.
fn compares(qemu: &QemuVersion) -> Option<bool> {
    if qemu.forces_queue_size { Some(false) } else { qemu.is_like_11_1() }
}

/// The entries that the destination has room for in a queue. Those of net come and go in pairs, and its
/// control queue is the last.
fn room(kind: &DeviceType, index: usize, count: usize, local: &[u32]) -> u32 {
    let local_index = match kind.section {
        "virtio-net" if count % 2 == 1 && index + 1 == count => local.len().saturating_sub(1),
        "virtio-net" => index % 2,
        _ => index,
    };
    local.get(local_index).copied().unwrap_or(0)
}

fn fields(rings: &[&Ring]) -> String {
    let names: Vec<_> = rings.iter().map(|ring| format!("queues[{}].num", ring.index)).collect();
    names.join(", ")
}

fn sizes(rings: &[&Ring]) -> String {
    let sizes: Vec<_> = rings.iter().map(|ring| ring.size.to_string()).collect();
    sizes.join(", ")
}

fn remedy(kind: &DeviceType, rings: &[&Ring], count: usize) -> String {
    let largest = rings.iter().map(|ring| ring.size).max().unwrap_or_default();
    let is_control = |ring: &&Ring| count % 2 == 1 && ring.index + 1 == count;
    let option = SIZE_OPTIONS.iter().find(|(section, _)| *section == kind.section);
    match (option, kind.section) {
        (Some((_, option)), _) => format!("set {option}={largest} on the destination's device"),
        (None, "virtio-net") if !rings.iter().any(is_control) => format!(
            "set rx_queue_size and tx_queue_size to {largest} on the destination's device, as far as its back-end allows"
        ),
        (None, "virtio-net") => {
            format!("no option gives the control queue more entries: load it where it has {largest}")
        }
        (None, _) => {
            format!("no option gives the device's queues more entries: load it where they have {largest}")
        }
    }
}
