//! Which features a device offers, as far as its section tells: a subsection that is there only if a
//! feature is offered, the length of its configuration, the number of its queues.
//!
//! Checked against what QEMU 7.2 and 10.0 say of the recorded destinations.

use virtio::core::Features;
use virtio::device::{DeviceState as State, DeviceType};
use virtio::loaded::VirtioState;
use virtio::transport::TransportState;

use super::Offer;
use super::device::DeviceState;

/// Features that the section of an untouched device tells.
pub(super) fn by_state(kind: &DeviceType, state: &VirtioState, profile: &DeviceState) -> Offer {
    let mut offer = Offer::default();
    by_core(state, &mut offer);
    for &(section, bits, offered) in ALWAYS {
        if section == kind.section {
            bits.iter().for_each(|&bit| offer.set(bit, offered));
        }
    }
    for &(section, least, bit) in NEEDS_LENGTH {
        if section == kind.section && profile.config_len < least {
            offer.set(bit, false);
        }
    }
    by_device(state, profile, &mut offer);
    offer
}

/// Features of a type that no option turns on or off.
const ALWAYS: &[(&str, &[u8], bool)] =
    &[("virtio-net", &[5], true), ("virtio-blk", &[2, 4, 6, 10], true), ("virtio-balloon", &[1], true)];

/// Bytes that the configuration has at least if a feature is offered (virtio 1.3 §5): the field that
/// comes with it is in it.
const NEEDS_LENGTH: &[(&str, usize, u8)] = &[
    ("virtio-net", 8, 16),
    ("virtio-net", 10, 22),
    ("virtio-net", 12, 3),
    ("virtio-net", 20, 63),
    ("virtio-net", 24, 57),
    ("virtio-net", 24, 60),
    ("virtio-blk", 48, 13),
    ("virtio-blk", 57, 14),
    ("virtio-console", 12, 2),
    ("virtio-balloon", 12, 3),
    ("virtio-balloon", 16, 4),
];

fn by_core(state: &VirtioState, offer: &mut Offer) {
    let subsections = &state.core.subsections;
    if subsections.features_64.is_none() {
        (32..64).for_each(|bit| offer.set(bit, false));
    }
    if subsections.features_128.is_none() {
        (64..128).for_each(|bit| offer.set(bit, false));
    }
    offer.set(Features::VERSION_1, subsections.virtqueues.is_some());
    offer.set(Features::RING_PACKED, subsections.packed_virtqueues.is_some());
    if let TransportState::Pci(pci) = &state.transport
        && pci.config.is_transitional()
    {
        // QEMU does not start such a device with the feature.
        offer.set(Features::ACCESS_PLATFORM, false);
    }
}

fn by_device(state: &VirtioState, profile: &DeviceState, offer: &mut Offer) {
    let queues = profile.queues.len();
    match &state.device {
        State::Net(net) => {
            let without_header = [0, 1, 7, 8, 9, 10, 11, 12, 13, 14, 54, 55, 56, 57];
            if net.has_vnet_hdr == 0 {
                without_header.into_iter().for_each(|bit| offer.set(bit, false));
            } else if !net.has_ufo {
                [10, 14].into_iter().for_each(|bit| offer.set(bit, false));
            }
        }
        State::Blk(_) => offer.set(12, queues > 1),
        // Two queues for each port there can be, and two for control; MULTIPORT if there can be two.
        State::Console(_) => offer.set(1, queues > 4),
        // Three queues, and one each for hinting and reporting.
        State::Balloon(_) => match queues {
            3 => [3, 5].into_iter().for_each(|bit| offer.set(bit, false)),
            5 => [3, 5].into_iter().for_each(|bit| offer.set(bit, true)),
            _ => {}
        },
        _ => {}
    }
}
