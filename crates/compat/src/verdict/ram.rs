//! RAM's block list: every piece of the stream must be there, and have the same size.

use super::{Incoming, Reason, code};
use crate::profile::{Profile, RamBlock};

/// The section that QEMU names.
const SECTION: &str = "ram";

/// Pieces that can grow, and to how many bytes: ACPI tables, which firmware builds anew (as recorded of
/// `info ramblock`). All others are as large as they are.
const RESIZEABLE: [(&str, u64); 3] = [
    ("/rom@etc/acpi/tables", 0x20_0000),
    ("/rom@etc/table-loader", 0x1_0000),
    ("/rom@etc/acpi/rsdp", 0x1000),
];

pub(super) fn check(incoming: Incoming<'_>, destination: &Profile, reasons: &mut Vec<Reason>) {
    let Some(ram) = &incoming.stream.ram else { return };
    let Some(local) = &destination.ram else {
        let remedy = "record the destination's RAM: with a stream it wrote, or over QMP";
        reasons.push(
            Reason::open(code::RAM_UNKNOWN, "blocks")
                .at(SECTION)
                .found(ram.blocks.len(), "not known")
                .remedy(remedy),
        );
        return;
    };
    for block in &ram.blocks {
        match local.iter().find(|local| local.name == block.name) {
            None => reasons.push(missing(&block.name, block.bytes)),
            Some(local) if local.bytes != block.bytes => reasons.extend(size(block.bytes, local)),
            Some(_) => {}
        }
    }
}

fn missing(name: &str, bytes: u64) -> Reason {
    let remedy = match name.rsplit_once('/') {
        Some((path, "virtio-net-pci.rom")) => {
            format!("put the network device at {path}, as at the source, or use its romfile")
        }
        Some((path, _)) if path.contains(':') => {
            format!("put the device that has this memory at {path}, as at the source")
        }
        _ => "start the destination with the source's memory objects and devices".to_owned(),
    };
    Reason::refused(code::RAM_BLOCK, name)
        .at(SECTION)
        .found(format!("{bytes:#x} bytes"), "no such block")
        .says(format!("Unknown ramblock \"{name}\", cannot accept migration"))
        .remedy(remedy)
}

fn size(found: u64, local: &RamBlock) -> Option<Reason> {
    let RamBlock { name, bytes, most } = local;
    let default = RESIZEABLE.iter().find(|(known, _)| known == name).map(|&(_, most)| most);
    let most = match (default, most) {
        (Some(default), most) => Some(most.unwrap_or(default)),
        // What can grow and has not says so; what has grown to its limit is not told apart.
        (None, Some(most)) => Some(*most).filter(|most| most > bytes),
        (None, None) => None,
    };
    let message = match most {
        Some(most) if found <= most => return None,
        Some(most) => format!("Size too large: {name}: {found:#x} > {most:#x}: Invalid argument"),
        None => format!("Size mismatch: {name}: {found:#x} != {bytes:#x}: Invalid argument"),
    };
    let remedy = match name.as_str() {
        "pc.bios" | "system.flash0" => {
            "start the destination with the firmware of the source: -bios".to_owned()
        }
        name if name.ends_with(".rom") => {
            format!("give the destination's device the source's romfile ({name})")
        }
        _ => format!(
            "give {name} {} MiB at the destination: -m, or the size of its memory object",
            found >> 20
        ),
    };
    Some(
        Reason::refused(code::RAM_SIZE, name)
            .at(SECTION)
            .found(format!("{found:#x}"), format!("{bytes:#x}"))
            .says(message)
            .remedy(remedy),
    )
}
