//! The section of one device: its type, by number, whether its target is big-endian, and its body.

use virtio::companion::{COMPANIONS, Companion};
use virtio::core::Endianness;
use virtio::device::DEVICES;
use virtio::memory::{DeviceMemory, MemoryError, RingMemory};
use virtio::section::{load_section, load_unknown_section, save_section};
use virtio::shape::Shape;
use virtio::transport::TransportKind;
use virtio::{Loaded, VirtioState};
use vmstate::{Reader, Writer};

/// Memory in which every index is the same.
struct Even;

impl RingMemory for Even {
    fn read(&self, address: u64, buf: &mut [u8]) -> Result<(), MemoryError> {
        buf.fill(1);
        if address < 1 << 40 { Ok(()) } else { Err(MemoryError::Unmapped { address }) }
    }
}

pub(crate) fn pci(bytes: &[u8]) {
    device(TransportKind::Pci, bytes);
}

pub(crate) fn mmio(bytes: &[u8]) {
    device(TransportKind::Mmio, bytes);
}

pub(crate) fn ccw(bytes: &[u8]) {
    device(TransportKind::Ccw, bytes);
}

fn saved(state: &VirtioState) -> Vec<u8> {
    let mut out = Writer::new();
    save_section(state, &mut out);
    out.into_bytes()
}

/// What is loaded is saved with the same length, and loads again as the same.
fn device(transport: TransportKind, bytes: &[u8]) {
    let [number, is_big, body @ ..] = bytes else { return };
    let kind = &DEVICES[usize::from(*number) % DEVICES.len()];
    let endianness = if is_big & 1 == 1 { Endianness::Big } else { Endianness::Little };
    let memory = DeviceMemory::direct(&Even);
    let shape = Shape::unknown(kind, transport, endianness);
    let Ok((shape, Loaded { state, .. })) =
        load_unknown_section(shape, kind.version, &memory, &Reader::new(body, 0))
    else {
        return;
    };
    let first = saved(&state);
    assert_eq!(first.len(), body.len(), "{}", kind.section);
    let again = load_section(&shape, kind.version, &memory, &Reader::new(&first, 0)).unwrap();
    assert_eq!(saved(&again.state), first, "{}", kind.section);
}

/// State beside a device's own.
pub(crate) fn companion(bytes: &[u8]) {
    let [number, body @ ..] = bytes else { return };
    let kind = &COMPANIONS[usize::from(*number) % COMPANIONS.len()];
    let Ok((_, loaded)) = Companion::load_unknown(kind, kind.version, &Reader::new(body, 0)) else { return };
    let mut out = Writer::new();
    loaded.state.save(&mut out);
    assert_eq!(out.len(), body.len(), "{}", kind.section);
}
