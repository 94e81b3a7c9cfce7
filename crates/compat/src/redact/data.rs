//! Guest data in the state of devices: always blanked.

use super::fields::{blank, each};
use crate::state::SectionState;

/// Fields that hold guest data, by the last part of the section's name. Lengths stay, so that the state
/// loads as before.
const FIELDS: &[(&str, &str)] = &[
    // Pixels of resources.
    ("virtio-gpu", "pixels"),
    ("virtio-vga", "pixels"),
    // What is on its way between guest and disk.
    ("scsi-disk", "data"),
    // What a program outside QEMU keeps for the device: names of open files, addresses of connections.
    ("vhost-user-fs", "backend"),
    ("virtio-net", "backend"),
    // Non-volatile memory, of the machine and of a TPM.
    ("spapr_nvram", "buf"),
    ("tpm-emulator", "buffer"),
];

/// Blanks guest data in the state of a section.
pub(super) fn redact(section: &mut SectionState) {
    let device = section.name.rsplit('/').next().unwrap_or_default();
    for &(_, field) in FIELDS.iter().filter(|(known, _)| *known == device) {
        each(&mut section.state, field, &mut blank);
    }
}
