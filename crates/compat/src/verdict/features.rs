//! Features: all that the driver negotiated must be offered.

use virtio::core::Features;
use virtio::device::DeviceType;

use super::{Reason, code};
use crate::profile::{Offer, QemuVersion};

/// The bits that a device without any above them gives up silently.
const LOW: Features = Features(0xffff_ffff);

pub(super) fn check(
    device: &str,
    kind: &DeviceType,
    guest: Features,
    offer: Offer,
    qemu: &QemuVersion,
    reasons: &mut Vec<Reason>,
) {
    let mut guest = guest;
    let high = Features(u128::from(u64::MAX) & !LOW.0);
    let offers_none_above = high.without(offer.lacking) == Features(0);
    let lost = guest.without(LOW);
    if offers_none_above && lost != Features(0) {
        let names = lost.names(kind.features);
        // Without VERSION_1 rings are looked for where those of a legacy device are: the indexes found
        // there may or may not pass.
        let make = if lost.has(Features::VERSION_1) { Reason::open } else { Reason::warning };
        let mut reason = make(code::FEATURES_LOST, "guest_features").at(device);
        reason = reason
            .found(lost, "none above 31")
            .remedy("give the destination's device the source's options: the driver loses these features");
        reason.features = names;
        reasons.push(reason);
        guest = Features(guest.0 & LOW.0);
    }
    let missing = Features(guest.0 & offer.lacking.0);
    if missing != Features(0) {
        let names = missing.names(kind.features);
        let remedy = remedy(kind, missing);
        let mut reason = Reason::refused(code::FEATURES, "guest_features").at(device);
        reason = reason
            .found(guest, format!("without {missing} ({})", names.join(", ")))
            .says(message(guest, missing, offer, qemu))
            .remedy(remedy);
        reason.features = names;
        reasons.push(reason);
    }
    let unknown = offer.unknown(guest);
    if unknown != Features(0) {
        let mut reason = Reason::open(code::FEATURES_UNKNOWN, "guest_features").at(device);
        reason = reason.found(unknown, "not known whether they are offered");
        reason = reason.remedy("ask the destination over QMP (vmig profile qmp:PATH), or make sure that it offers these features");
        reason.features = unknown.names(kind.features);
        reasons.push(reason);
    }
}

/// What QEMU says. 11.1 prints all 128 bits, and of those of the guest only what it keeps
/// ([`MASKED_FEATURES`](crate::defect::MASKED_FEATURES)).
fn message(guest: Features, missing: Features, offer: Offer, qemu: &QemuVersion) -> String {
    let is_new = qemu.is_like_11_1() == Some(true);
    let number = |features: Features| match is_new {
        true => format!("{:#034x}", features.0),
        false => features.to_string(),
    };
    let guest = if is_new { guest.without(missing) } else { guest };
    let allowed = if offer.is_exact() { number(offer.offered) } else { "…".to_owned() };
    format!("Features {} unsupported. Allowed features: {allowed}", number(guest))
}

/// The options that turn on the features that are missed most.
const OPTIONS: &[(&str, u8, &str)] = &[
    ("", Features::VERSION_1, "disable-modern=off (pci), force-legacy=off (mmio), max_revision (ccw)"),
    ("", Features::ACCESS_PLATFORM, "iommu_platform=on"),
    ("", Features::RING_PACKED, "packed=on"),
    ("", Features::EVENT_IDX, "event_idx=on"),
    ("", Features::INDIRECT_DESC, "indirect_desc=on"),
    ("", Features::RING_RESET, "queue_reset=on"),
    ("", Features::IN_ORDER, "in_order=on"),
    ("virtio-blk", 9, "write-cache=on or config-wce=on"),
    ("virtio-blk", 11, "config-wce=on"),
    ("virtio-blk", 12, "num-queues above 1"),
    ("virtio-blk", 13, "discard=on"),
    ("virtio-blk", 14, "write-zeroes=on"),
    ("virtio-net", 17, "ctrl_vq=on"),
    ("virtio-net", 22, "mq=on"),
    ("virtio-net", 3, "host_mtu"),
    ("virtio-console", 1, "max_ports above 1"),
    ("virtio-balloon", 3, "free-page-hint=on"),
    ("virtio-balloon", 4, "page-poison=on"),
    ("virtio-balloon", 5, "free-page-reporting=on"),
    ("virtio-gpu", 1, "edid=on"),
];

/// net: features that only a network back-end with virtio-net headers has.
const NET_BACKEND: [u8; 14] = [0, 1, 7, 8, 9, 10, 11, 12, 13, 14, 54, 55, 56, 57];

fn remedy(kind: &DeviceType, missing: Features) -> String {
    let options: Vec<_> = OPTIONS
        .iter()
        .filter(|(section, bit, _)| missing.has(*bit) && (section.is_empty() || *section == kind.section))
        .map(|&(_, _, option)| option)
        .collect();
    if kind.section == "virtio-net" && NET_BACKEND.iter().any(|&bit| missing.has(bit)) {
        return "give the destination's device the source's kind of network back-end (a tap with vnet_hdr)"
            .to_owned();
    }
    match options.is_empty() {
        true => "give the destination's device the source's options".to_owned(),
        false => format!("set on the destination's device: {}", options.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use virtio::device::DEVICES;

    use super::super::{Certainty, Reason};
    use super::*;

    fn reasons(guest: u128, offer: Offer) -> Vec<Reason> {
        let blk = DEVICES.iter().find(|kind| kind.section == "virtio-blk").unwrap();
        let mut reasons = Vec::new();
        check("/fe.0.0001/virtio-blk", blk, Features(guest), offer, &QemuVersion::default(), &mut reasons);
        reasons
    }

    #[test]
    fn what_is_missing_and_what_is_not_known_are_two_things() {
        let mut offer = Offer::default();
        offer.set(9, true);
        offer.set(13, false);
        offer.set(40, true);
        let reasons = reasons(1 << 9 | 1 << 13 | 1 << 29, offer);
        let found: Vec<_> =
            reasons.iter().map(|reason| (reason.certainty, reason.features.join(","))).collect();
        assert_eq!(found, [(Certainty::Refused, "DISCARD".into()), (Certainty::Open, "EVENT_IDX".into())]);
        assert!(reasons[0].remedy.ends_with("discard=on"), "{}", reasons[0].remedy);
    }

    #[test]
    fn a_device_without_high_features_drops_them_silently() {
        let offer = Offer::exactly(Features(0x3000_0000));
        let lost = reasons(1 << 40 | 1 << 29, offer);
        assert_eq!(
            (lost[0].certainty, lost[0].features.as_slice()),
            (Certainty::Warning, &["RING_RESET".to_owned()][..])
        );
        // Rings are then looked for elsewhere, and nobody knows what is there.
        assert_eq!(reasons(1 << 32 | 1 << 29, offer)[0].certainty, Certainty::Open);
    }
    /// The lines that 10.0.13 and 11.1.3 printed of one load (interop).
    #[test]
    fn the_line_is_that_of_the_release() {
        let (guest, missing) = (Features(0x101_3000_6e54), Features(0x2000_0000));
        let offer = Offer::exactly(Features(0x101_5900_6e54));
        let says = |release| message(guest, missing, offer, &QemuVersion::said(release));
        assert_eq!(says("10.0.13"), "Features 0x10130006e54 unsupported. Allowed features: 0x10159006e54");
        assert_eq!(
            says("11.1.3"),
            "Features 0x00000000000000000000010110006e54 unsupported. Allowed features: 0x00000000000000000000010159006e54"
        );
    }
}
