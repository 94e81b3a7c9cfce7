//! Which features a device offers, as far as its properties tell.
//!
//! QEMU has a property for most features. One that is off is never offered; one that is on may still be
//! masked by what is behind the device (a network back-end, the host's kernel), so such are left unknown.
//! Checked against what QEMU 7.2 and 10.0 say of the recorded destinations.

use virtio::core::Features;

use super::Offer;
use super::qtree::Node;

/// A property, and the feature it turns on.
type Property = (&'static str, u8);

/// Of every device.
const COMMON: &[Property] = &[
    ("notify_on_empty", Features::NOTIFY_ON_EMPTY),
    ("any_layout", Features::ANY_LAYOUT),
    ("indirect_desc", Features::INDIRECT_DESC),
    ("event_idx", Features::EVENT_IDX),
    ("iommu_platform", Features::ACCESS_PLATFORM),
    ("packed", Features::RING_PACKED),
    ("in_order", Features::IN_ORDER),
    ("queue_reset", Features::RING_RESET),
];

/// Of each type, by the name of its section. A property that a release does not have is off.
const BY_SECTION: &[(&str, &[Property])] = &[
    (
        "virtio-net",
        &[
            ("csum", 0),
            ("guest_csum", 1),
            ("ctrl_guest_offloads", 2),
            ("gso", 6),
            ("guest_tso4", 7),
            ("guest_tso6", 8),
            ("guest_ecn", 9),
            ("guest_ufo", 10),
            ("host_tso4", 11),
            ("host_tso6", 12),
            ("host_ecn", 13),
            ("host_ufo", 14),
            ("mrg_rxbuf", 15),
            ("status", 16),
            ("ctrl_vq", 17),
            ("ctrl_rx", 18),
            ("ctrl_vlan", 19),
            ("ctrl_rx_extra", 20),
            ("guest_announce", 21),
            ("mq", 22),
            ("ctrl_mac_addr", 23),
            ("guest_uso4", 54),
            ("guest_uso6", 55),
            ("host_uso", 56),
            ("hash", 57),
            ("rss", 60),
            ("guest_rsc_ext", 61),
            ("failover", 62),
            ("guest_tunnel", 65),
            ("guest_tunnel_csum", 66),
            ("host_tunnel", 67),
            ("host_tunnel_csum", 68),
        ],
    ),
    ("virtio-blk", &[("config-wce", 11), ("discard", 13), ("write-zeroes", 14)]),
    ("virtio-scsi", &[("hotplug", 1), ("param_change", 2), ("t10_pi", 3)]),
    (
        "virtio-balloon",
        &[("deflate-on-oom", 2), ("free-page-hint", 3), ("page-poison", 4), ("free-page-reporting", 5)],
    ),
    ("virtio-gpu", &[("edid", 1), ("blob", 3)]),
];

/// Features of net that its back-end may lack, or its header's presence decides; see [`super::told`] for
/// what its section tells of them.
const BACKEND: [u8; 4] = [54, 55, 56, 57];

/// What the properties of a device, and of the proxy it sits on, tell. `vhost`: whether a network
/// back-end of the machine may be outside QEMU, and so mask features.
pub(super) fn by_properties(section: &str, proxy: &Node, device: &Node, vhost: bool) -> Offer {
    let mut offer = Offer::default();
    let of_type = BY_SECTION.iter().filter(|(name, _)| *name == section).flat_map(|(_, list)| *list);
    for &(name, bit) in COMMON.iter().chain(of_type) {
        offer.set(bit, device.flag(name).unwrap_or(false));
    }
    if let Some(is_modern) = is_modern(proxy) {
        offer.set(Features::VERSION_1, is_modern);
    }
    match section {
        "virtio-net" => net(device, &mut offer),
        "virtio-blk" => blk(device, &mut offer),
        "virtio-console" => offer.set(1, device.number("max_ports").is_some_and(|ports| ports > 1)),
        "virtio-mem" => {
            if let Some(inaccessible) = device.flag("unplugged-inaccessible") {
                offer.set(1, inaccessible);
            }
        }
        "virtio-gpu" if device.ty == "virtio-gpu-device" => offer.set(0, false),
        _ => {}
    }
    let is_outside = section.starts_with("vhost") || section.starts_with("virtio-vhost");
    if is_outside || vhost && section == "virtio-net" {
        offer.offered = Features(0);
    }
    offer
}

fn is_modern(proxy: &Node) -> Option<bool> {
    let pci = proxy.flag("disable-modern").map(|disabled| !disabled);
    let mmio = proxy.flag("force-legacy").map(|legacy| !legacy);
    let ccw = proxy.number("max_revision").map(|revision| revision >= 1);
    pci.or(mmio).or(ccw)
}

fn net(device: &Node, offer: &mut Offer) {
    if device.flag("ctrl_vq") == Some(false) {
        // What needs the control queue goes with it.
        [18, 19, 21, 22, 23].into_iter().for_each(|bit| offer.set(bit, false));
    }
    for bit in BACKEND {
        offer.offered.0 &= !(1 << bit);
    }
    offer.set(3, device.number("host_mtu").is_some_and(|mtu| mtu > 0));
    let has_speed = device.number("speed").is_some_and(|speed| speed >= 0);
    offer.set(63, has_speed || device.property("duplex").is_some_and(|duplex| !duplex.is_empty()));
}

fn blk(device: &Node, offer: &mut Offer) {
    offer.set(12, device.number("num-queues").is_some_and(|queues| queues > 1));
    let has_wce = device.flag("config-wce") == Some(true);
    if has_wce && device.flag("x-enable-wce-if-config-wce") != Some(false) {
        offer.set(9, true);
    }
    if offer.offered.has(Features::VERSION_1) {
        // SCSI commands are for legacy drivers only.
        offer.set(7, false);
    }
}
