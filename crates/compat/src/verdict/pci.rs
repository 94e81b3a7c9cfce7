//! PCI configuration: what the guest cannot write must be as at the destination.
//!
//! QEMU compares the bits of its `cmask`, unless the guest can write or clear them (`wmask`, `w1cmask`):
//! identity, class, header type, base address registers, and the body of every capability. Which bits
//! the guest can write is told here by what the capabilities are (PCI 3.0 §6, virtio 1.3 §4.1.4), in the
//! destination's own image, which no guest has touched.

use super::{Reason, code};
use crate::profile::Bar;

/// Bytes of a conventional device's configuration space.
const CONVENTIONAL: usize = 256;

pub(super) fn check(device: &str, found: &[u8], local: &[u8], bars: &[Bar], reasons: &mut Vec<Reason>) {
    let mask = mask(local, bars);
    let differ: Vec<_> = (0..found.len().min(local.len()))
        .filter(|&at| byte(&mask, at) & (byte(found, at) ^ byte(local, at)) != 0)
        .collect();
    if let Some(&first) = differ.first() {
        reasons.push(bad_config(device, first, differ.len(), found, local));
    }
    if found.len() != local.len() {
        let reason = Reason::refused(code::PCI_CONFIG_SIZE, "config").at(device);
        let reason = reason.found(format!("{} bytes", found.len()), format!("{} bytes", local.len()));
        reasons.push(reason.remedy(
            "put the device on the same kind of bus: a PCI Express port makes a device an express one",
        ));
    }
}

fn bad_config(device: &str, at: usize, count: usize, found: &[u8], local: &[u8]) -> Reason {
    let (read, mine) = (byte(found, at), byte(local, at));
    let (what, remedy) = explain(at, local, found);
    let more = if count > 1 { format!(" and {} more bytes", count - 1) } else { String::new() };
    Reason::refused(code::PCI_CONFIG, format!("config[{at:#x}] ({what}){more}"))
        .at(device)
        .found(format!("{read:#04x}"), format!("{mine:#04x}"))
        .says(format!("get_pci_config_device: Bad config data: i=0x{at:x} read: {read:x} device: {mine:x} cmask: ff wmask: 0 w1cmask:0"))
        .remedy(remedy)
}

/// What a byte belongs to, and what changes it.
fn explain(at: usize, local: &[u8], found: &[u8]) -> (String, String) {
    let vectors = |image: &[u8]| {
        let (at, _) = capabilities(image).into_iter().find(|&(_, id)| id == MSIX)?;
        Some(u16_at(image, at + 2) % 0x800 + 1)
    };
    let same_options = "use the source's options for the device".to_owned();
    match at {
        0..4 => ("vendor and device".to_owned(), "use the same type of device: a transitional one (disable-legacy=off) has another device ID than a modern one".to_owned()),
        8 => ("revision".to_owned(), "use the source's disable-legacy and disable-modern".to_owned()),
        0x10..0x28 | 0x30..0x34 => (format!("base address register {}", (at - 0x10) / 4), "use the source's disable-modern, vectors, modern-pio-notify and page-per-vq".to_owned()),
        6 | 0x34 => match (vectors(found), vectors(local)) {
            (Some(mine), None) => ("capability list".to_owned(), format!("the destination has no MSI-X: set vectors={mine}")),
            (None, Some(_)) => ("capability list".to_owned(), "the source has no MSI-X: set vectors=0".to_owned()),
            _ => ("capability list".to_owned(), "use the source's disable-modern and bus".to_owned()),
        },
        _ => match owner(local, at) {
            Some((start, MSIX)) if at - start == 2 || at - start == 3 => {
                let remedy = match vectors(found) {
                    Some(mine) => format!("set vectors={mine}, or the source's number of queues, from which it follows"),
                    None => "the source has no MSI-X there: set vectors=0".to_owned(),
                };
                ("MSI-X table size".to_owned(), remedy)
            }
            Some((_, id)) => (format!("capability {id:#04x}"), same_options),
            None => ("header".to_owned(), same_options),
        },
    }
}

const POWER_MANAGEMENT: u8 = 0x01;
const MSI: u8 = 0x05;
const VENDOR: u8 = 0x09;
const EXPRESS: u8 = 0x10;
const MSIX: u8 = 0x11;

/// The type of virtio's vendor capability through which configuration can be accessed: writable.
const VIRTIO_PCI_CFG: u8 = 5;

/// The bits that are compared.
fn mask(local: &[u8], bars: &[Bar]) -> Vec<u8> {
    let mut mask = vec![0; local.len()];
    let mut set = |at: usize, bytes: usize, bits: u8| {
        for byte in mask.iter_mut().skip(at).take(bytes) {
            *byte = bits;
        }
    };
    set(0, 4, 0xff);
    set(6, 1, 0x10);
    set(8, 4, 0xff);
    set(0xe, 1, 0xff);
    set(0x34, 1, 0xff);
    // Kind and width of what a register maps; the address is the guest's. A register that maps memory
    // of 32 bits looks like none.
    let registers = if byte(local, 0xe) & 0x7f == 0 { 6 } else { 0 };
    let mut register = 0;
    while register < registers {
        let at = 0x10 + 4 * register;
        let low = byte(local, at);
        let known = bars.iter().find(|bar| usize::from(bar.index) == register);
        if low != 0 || known.is_some() {
            let fixed = if low & 1 == 1 { 0x3 } else { 0xf };
            let size = known.map_or(0, |bar| bar.size.saturating_sub(1));
            for (place, bits) in size.to_le_bytes().into_iter().enumerate().take(4) {
                set(at + place, 1, if place == 0 { bits | fixed } else { bits });
            }
        }
        register += if low & 7 == 4 { 2 } else { 1 };
    }
    for (at, id) in capabilities(local) {
        let size = size_of(local, at, id);
        set(at, size, 0xff);
        for (from, bytes) in written(local, at, id) {
            set(at + from, bytes, 0);
        }
        if id == MSIX {
            // Message Control: enable and mask all are the guest's.
            set(at + 3, 1, 0x3f);
        }
        if id == POWER_MANAGEMENT {
            // The power state is the guest's, and so are the rest of control and status.
            set(at + 4, 2, 0);
        }
    }
    // Of extended capabilities only what they are and where the next is: their registers differ in what
    // the guest writes.
    for at in extended(local) {
        set(at, 4, 0xff);
    }
    mask
}

/// Bytes of a capability.
fn size_of(image: &[u8], at: usize, id: u8) -> usize {
    match id {
        POWER_MANAGEMENT => 8,
        MSI => 4,
        VENDOR => usize::from(byte(image, at + 2)).max(3),
        // The second version has twice the registers.
        EXPRESS if byte(image, at + 2) & 0xf >= 2 => 0x3c,
        EXPRESS => 0x14,
        MSIX => 12,
        _ => 2,
    }
}

/// Which bytes of a capability the guest writes, or hardware changes.
fn written(image: &[u8], at: usize, id: u8) -> Vec<(usize, usize)> {
    match id {
        // Message Control.
        MSI => vec![(2, 2)],
        VENDOR if byte(image, at + 3) == VIRTIO_PCI_CFG => vec![(4, 1), (8, 12)],
        // Control and status of device, link, slot and root; the second set of them.
        EXPRESS => vec![(0x8, 4), (0x10, 4), (0x18, 4), (0x1c, 8), (0x28, 4), (0x30, 4), (0x38, 4)],
        _ => Vec::new(),
    }
}

/// Offset and identifier of each capability, in list order.
fn capabilities(image: &[u8]) -> Vec<(usize, u8)> {
    let mut found = Vec::new();
    let has_list = byte(image, 6) & 0x10 != 0;
    let mut at = usize::from(byte(image, 0x34) & !3);
    while has_list && at >= 0x40 && found.iter().all(|&(seen, _)| seen != at) {
        found.push((at, byte(image, at)));
        at = usize::from(byte(image, at + 1) & !3);
    }
    found
}

/// Offset of each extended capability, in list order.
fn extended(image: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = CONVENTIONAL;
    while at + 4 <= image.len() && !found.contains(&at) {
        let (id, next) = (u16_at(image, at), u16_at(image, at + 2) >> 4);
        if id == 0 && next == 0 {
            break;
        }
        found.push(at);
        at = usize::from(next & !3);
        if at < CONVENTIONAL {
            break;
        }
    }
    found
}

/// The capability that a byte is in.
fn owner(image: &[u8], at: usize) -> Option<(usize, u8)> {
    capabilities(image)
        .into_iter()
        .find(|&(start, id)| (start..start + size_of(image, start, id)).contains(&at))
}

fn byte(image: &[u8], at: usize) -> u8 {
    image.get(at).copied().unwrap_or_default()
}

fn u16_at(image: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([byte(image, at), byte(image, at + 1)])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device with an I/O register, a 64-bit memory register and MSI-X of four vectors.
    fn image() -> Vec<u8> {
        let mut image = vec![0; CONVENTIONAL];
        image[..4].copy_from_slice(&[0xf4, 0x1a, 0x01, 0x10]);
        image[6] = 0x10;
        image[0x10] = 0x01;
        image[0x20] = 0x0c;
        image[0x34] = 0x98;
        image[0x98..0x9c].copy_from_slice(&[MSIX, 0, 3, 0]);
        image
    }

    fn reasons(found: &[u8], bars: &[Bar]) -> Vec<Reason> {
        let mut reasons = Vec::new();
        check("0000:00:02.0/virtio-blk", found, &image(), bars, &mut reasons);
        reasons
    }

    #[test]
    fn what_the_guest_writes_may_differ() {
        let mut found = image();
        found[4] = 0x07;
        found[0x3c] = 11;
        found[0x10..0x14].copy_from_slice(&[0x41, 0xc0, 0, 0]);
        found[0x20..0x28].copy_from_slice(&[0x0c, 0x40, 0, 0xfe, 1, 0, 0, 0]);
        found[0x9b] = 0xc0;
        assert_eq!(reasons(&found, &[]), []);
    }

    #[test]
    fn a_table_of_another_size_is_refused_with_what_to_change() {
        let mut found = image();
        found[0x9a] = 1;
        let reasons = reasons(&found, &[]);
        let message = reasons[0].qemu_message.as_deref().unwrap();
        assert_eq!(
            message,
            "get_pci_config_device: Bad config data: i=0x9a read: 1 device: 3 cmask: ff wmask: 0 w1cmask:0"
        );
        assert!(reasons[0].remedy.contains("vectors=2"), "{}", reasons[0].remedy);
    }

    #[test]
    fn an_address_that_a_larger_register_cannot_have_is_refused() {
        let mut found = image();
        found[0x20..0x24].copy_from_slice(&[0x0c, 0x40, 0, 0xfe]);
        assert_eq!(reasons(&found, &[Bar { index: 4, size: 0x4000, io: false }]), []);
        let refused = reasons(&found, &[Bar { index: 4, size: 0x8000, io: false }]);
        assert!(refused[0].field.starts_with("config[0x21]"), "{refused:?}");
    }

    #[test]
    fn lists_that_loop_end() {
        let mut local = image();
        local[0x99] = 0x98;
        assert_eq!(capabilities(&local), [(0x98, MSIX)]);
        local.resize(4096, 0);
        local[0x100..0x104].copy_from_slice(&[1, 0, 0x01, 0x10]);
        assert_eq!(extended(&local), [0x100]);
    }

    #[test]
    fn an_express_device_is_not_a_conventional_one() {
        let mut found = image();
        found.resize(4096, 0);
        assert_eq!(reasons(&found, &[])[0].code, code::PCI_CONFIG_SIZE);
    }
}
