//! Since which release a subsection is known, as far as recorded streams show: a release that writes one
//! reads it, and QEMU does not unlearn them. An earlier release may know it too.

use super::Incoming;
use crate::profile::{Profile, QemuVersion, Release};

/// Subsections of described sections, with the oldest recorded release that wrote them.
const SINCE: &[(Release, &[&str])] = &[
    (
        Release(5, 2),
        &[
            "acpi-ged/memhp",
            "cpu/altivec",
            "cpu/fpu",
            "cpu/irq-line-state",
            "cpu/msr_smi_count",
            "cpu/poll_control_msr",
            "cpu/slb",
            "cpu/vfp",
            "cpu/vregs",
            "cpu/vsx",
            "fdrive/media_rate",
            "fw_cfg/acpi_mr",
            "fw_cfg/dma",
            "hpet/offset",
            "ich9_pm/memhp",
            "ich9_pm/tco",
            "ipl/iplb_extended",
            "piix4_pm/memhp",
            "pl011/clock",
            "pl031/tick-offset",
            "spapr/cap/ccf_assist",
            "spapr/cap/cfpc",
            "spapr/cap/hpt_maxpagesize",
            "spapr/cap/ibs",
            "spapr/cap/sbbc",
            "spapr_dtb",
            "spapr_iommu_ex",
            "spapr_option_vector_ov5_cas",
            "vmstate-event-facility/mask_length",
        ],
    ),
    (
        Release(7, 2),
        &["cpu/fpop_ip_dp", "ich9_pm/cpuhp", "ich9_pm/pcihp", "pckbd/extended_state", "piix4_pm/cpuhp"],
    ),
    (Release(10, 0), &["apic_sipi", "cpu/bhrb", "qemu-s390-flic-full"]),
    (Release(11, 1), &["cpu/wfxt-timer"]),
];

/// Subsections that a release brought, so that earlier ones refuse them.
const NEW: &[(&str, Release)] =
    &[("virtio/128bit_features", Release(10, 1)), ("virtio_pci/modern_state/features128", Release(10, 1))];

/// Both sides, as far as their releases are known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sides<'a> {
    pub(super) destination: &'a Profile,
    incoming: Incoming<'a>,
}

impl<'a> Sides<'a> {
    pub(super) fn new(incoming: Incoming<'a>, destination: &'a Profile) -> Self {
        Self { destination, incoming }
    }

    /// Whether the destination is certainly no older than the source.
    fn is_as_new(self) -> bool {
        let description = self.incoming.stream.description.as_ref().map(|description| &description.desc);
        let source = QemuVersion::inferred(self.incoming.guest.machine.as_deref(), description);
        let (Some(below), Some(Release(major, minor))) = (source.below, self.destination.qemu.at_least)
        else {
            return false;
        };
        // The source's release is the one before `below`, or older.
        below <= Release(major, minor + 1)
    }
}

/// Whether the destination knows a subsection, if that is known.
pub(super) fn knows(sides: Sides<'_>, subsection: &str) -> Option<bool> {
    let destination = sides.destination;
    let written = destination.sections.iter().flatten().filter_map(|section| section.layout.as_ref());
    let by_devices = destination.devices.iter().filter_map(|device| device.state.as_ref());
    if written.into_iter().any(|layout| layout.writes(subsection))
        || by_devices.into_iter().any(|state| state.writes(subsection))
        || sides.is_as_new()
    {
        return Some(true);
    }
    if let Some((_, brought)) = NEW.iter().find(|(name, _)| *name == subsection) {
        return destination.qemu.is_at_least(*brought);
    }
    let (since, _) = SINCE.iter().find(|(_, names)| names.contains(&subsection))?;
    // No release before the oldest recorded one is spoken of here.
    let is_oldest = *since == Release(5, 2);
    destination.qemu.is_at_least(*since).filter(|&knows| knows).or(is_oldest.then_some(true))
}
