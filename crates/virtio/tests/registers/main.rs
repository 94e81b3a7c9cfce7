//! Devices behind their transports' registers: what a driver reads and writes, interrupts, and what survives a move.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod hostile;
mod mmio;
mod pci;

use virtio::core::Features;
use virtio::device::rng::LiveRng;
use virtio::live::{LiveTransport, Window};
use virtio::memory::DeviceMemory;
use virtio::ring::Ram;
use virtio::section::{load_section, save_section};
use virtio::transport::{LiveMmio, LivePci};
use virtio::{Refused, StoppedDevice};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};
use vmstate::{Reader, Writer};

type Memory = GuestMemoryMmap<()>;
type Device = Box<dyn LiveTransport<Memory>>;

const DESC: u64 = 0x1000;
const AVAIL: u64 = 0x2000;
const USED: u64 = 0x3000;
const BUFFER: u64 = 0x8000;

fn memory() -> Memory {
    GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 0x1_0000)]).unwrap()
}

fn rng() -> Box<LiveRng<std::io::Repeat>> {
    Box::new(LiveRng::new(std::io::repeat(7)))
}

fn mmio(memory: &Memory) -> Device {
    Box::new(LiveMmio::new(rng(), memory.clone(), Features(0)))
}

fn pci(memory: &Memory) -> Device {
    Box::new(LivePci::new(rng(), memory.clone(), Features(0)))
}

fn read(device: &mut Device, window: Window, offset: u64, bytes: usize) -> u64 {
    let mut data = [0; 8];
    device.read(window, offset, &mut data[..bytes]);
    u64::from_le_bytes(data)
}

fn write(device: &mut Device, window: Window, offset: u64, bytes: usize, value: u64) {
    device.write(window, offset, &value.to_le_bytes()[..bytes]);
}

/// Makes one more buffer of eight bytes available in a ring of eight entries.
fn offer(memory: &Memory, number: u16) {
    let desc = [&BUFFER.to_le_bytes()[..], &8_u32.to_le_bytes(), &2_u16.to_le_bytes(), &[0; 2]].concat();
    memory.write_slice(&desc, GuestAddress(DESC)).unwrap();
    memory.write_obj(0_u16, GuestAddress(AVAIL + 4 + 2 * u64::from(number % 8))).unwrap();
    memory.write_obj(number + 1, GuestAddress(AVAIL + 2)).unwrap();
}

fn returned(memory: &Memory) -> u16 {
    memory.read_obj(GuestAddress(USED + 2)).unwrap()
}

/// Stops a device, and loads it through the bytes of its section for one that is to go on as it.
fn loaded(from: &mut Device, to: &Device, memory: &Memory) -> Result<StoppedDevice, Refused> {
    let mut out = Writer::new();
    save_section(&from.stop().unwrap(), &mut out);
    let shape = to.core().shape(to.kind());
    let ram = Ram(memory);
    let body = Reader::new(out.as_bytes(), 0);
    load_section(&shape, shape.device.version, &DeviceMemory::direct(&ram), &body).unwrap().accept()
}
