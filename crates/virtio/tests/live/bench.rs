//! A driver for devices under test: it reaches the core without a transport, over split rings.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use virtio::companion::Companion;
use virtio::core::{Endianness, Features, Status};
use virtio::device::disk::{Disk, MemoryDisk};
use virtio::live::{LiveCore, LiveDevice, Place};
use virtio::memory::DeviceMemory;
use virtio::ring::{Ram, split::legacy_addresses};
use virtio::section::{load_section, save_section};
use virtio::transport::{ExtraState, Mmio, MmioExtraState, TransportKind, TransportState};
use virtio::{StoppedDevice, VirtioState};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};
use vmstate::{Reader, Writer};

pub(crate) type Memory = GuestMemoryMmap<()>;

/// Guest memory from here on is for buffers.
const BUFFERS: u64 = 0x10_0000;
const RINGS: u64 = 0x1_0000;
const RING_BYTES: u64 = 0x4000;
const MODERN: Features = Features(1 << Features::VERSION_1);

pub(crate) fn memory() -> Memory {
    GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 0x100_0000)]).unwrap()
}

/// What was asked of the device: the buffers that it may write.
type Writable = Vec<(u64, u32)>;

/// The driver's side of a queue.
#[derive(Default)]
struct Ring {
    size: u16,
    avail: u64,
    used: u64,
    avail_idx: u16,
    used_idx: u16,
    next_descriptor: u16,
    offered: HashMap<u16, Writable>,
}

/// A chain that came back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Used {
    /// Its first descriptor, as [`Bench::offer`] gave it.
    pub(crate) head: u16,
    /// How many bytes the device says it wrote.
    pub(crate) written: u32,
    /// What is in its writable buffers, one after the other.
    pub(crate) data: Vec<u8>,
}

/// A device, and a driver that has set it up.
pub(crate) struct Bench {
    pub(crate) core: LiveCore<Memory>,
    pub(crate) memory: Memory,
    rings: Vec<Ring>,
    next_buffer: u64,
}

impl Bench {
    /// A driver that accepts all that the device offers, and sets every queue up.
    pub(crate) fn new(device: impl LiveDevice<Memory> + 'static) -> Self {
        Self::with(device, Features(u128::MAX))
    }

    /// A driver that knows these features of the type, and `VERSION_1`.
    pub(crate) fn with(device: impl LiveDevice<Memory> + 'static, known: Features) -> Self {
        let memory = memory();
        let core = LiveCore::new(Box::new(device), memory.clone(), MODERN, Endianness::Little);
        let mut bench = Self { core, memory, rings: Vec::new(), next_buffer: BUFFERS };
        bench.set_up(known);
        bench
    }

    /// Resets the device, and sets it up as a driver does that knows these features of the type, and `VERSION_1`.
    pub(crate) fn set_up(&mut self, known: Features) {
        let Self { core, memory, rings, .. } = self;
        core.set_status(0);
        rings.clear();
        core.set_status(Status::ACKNOWLEDGE | Status::DRIVER);
        assert!(core.set_features(Features(core.offered().0 & (known.0 | MODERN.0))));
        core.set_status(Status::ACKNOWLEDGE | Status::DRIVER | Status::FEATURES_OK);
        for index in 0..core.queues().len() {
            let size = core.queues()[index].max_size();
            let desc = RINGS + RING_BYTES * index as u64;
            memory.write_slice(&[0; RING_BYTES as usize], GuestAddress(desc)).unwrap();
            let (avail, used) = legacy_addresses(desc, size.into(), 16);
            core.enable_queue(index, Place { desc, avail, used });
            rings.push(Ring { size, avail, used, ..Ring::default() });
        }
        let all = Status::ACKNOWLEDGE | Status::DRIVER | Status::FEATURES_OK | Status::DRIVER_OK;
        core.set_status(all);
    }

    /// Makes a chain available: buffers that the device reads, and lengths of those that it writes. Gives its head.
    pub(crate) fn offer(&mut self, queue: usize, out: &[&[u8]], writable: &[u32]) -> u16 {
        let mut buffers = Vec::new();
        for bytes in out {
            let at = self.allocate(bytes.len() as u64);
            self.memory.write_slice(bytes, GuestAddress(at)).unwrap();
            buffers.push((at, bytes.len() as u32, false));
        }
        let mut places = Vec::new();
        for &len in writable {
            let at = self.allocate(len.into());
            buffers.push((at, len, true));
            places.push((at, len));
        }
        let ring = &mut self.rings[queue];
        let desc = RINGS + RING_BYTES * queue as u64;
        let head = ring.next_descriptor;
        for (index, &(at, len, is_writable)) in buffers.iter().enumerate() {
            let this = (head + index as u16) % ring.size;
            let has_next = index + 1 < buffers.len();
            let mut bytes = at.to_le_bytes().to_vec();
            bytes.extend(len.to_le_bytes());
            bytes.extend((u16::from(has_next) | u16::from(is_writable) << 1).to_le_bytes());
            bytes.extend(((this + 1) % ring.size).to_le_bytes());
            self.memory.write_slice(&bytes, GuestAddress(desc + 16 * u64::from(this))).unwrap();
        }
        ring.next_descriptor = (head + buffers.len() as u16) % ring.size;
        let entry = ring.avail + 4 + 2 * u64::from(ring.avail_idx % ring.size);
        self.memory.write_obj(head, GuestAddress(entry)).unwrap();
        ring.avail_idx = ring.avail_idx.wrapping_add(1);
        self.memory.write_obj(ring.avail_idx, GuestAddress(ring.avail + 2)).unwrap();
        assert!(ring.offered.insert(head, places).is_none(), "more is offered than the ring has room for");
        head
    }

    /// Takes the next chain that came back.
    pub(crate) fn used(&mut self, queue: usize) -> Option<Used> {
        let ring = &mut self.rings[queue];
        let idx: u16 = self.memory.read_obj(GuestAddress(ring.used + 2)).unwrap();
        if idx == ring.used_idx {
            return None;
        }
        let at = ring.used + 4 + 8 * u64::from(ring.used_idx % ring.size);
        ring.used_idx = ring.used_idx.wrapping_add(1);
        let [id, written]: [u32; 2] = [0, 4].map(|o| self.memory.read_obj(GuestAddress(at + o)).unwrap());
        let places =
            ring.offered.remove(&(id as u16)).expect("what came back was offered, and comes back once");
        let mut data = Vec::new();
        for (at, len) in places {
            let from = data.len();
            data.resize(from + len as usize, 0);
            self.memory.read_slice(&mut data[from..], GuestAddress(at)).unwrap();
        }
        Some(Used { head: id as u16, written, data })
    }

    /// Offers a chain, lets the device work, and takes what came back.
    pub(crate) fn ask(&mut self, queue: usize, out: &[&[u8]], writable: &[u32]) -> Used {
        self.offer(queue, out, writable);
        self.core.notify(queue);
        self.settle();
        self.used(queue).unwrap_or_else(|| panic!("nothing came back; broken: {:?}", self.core.broken()))
    }

    /// Lets the device work until it has nothing to do.
    pub(crate) fn settle(&mut self) {
        for _ in 0..10_000 {
            if !self.core.poll() {
                return;
            }
        }
        panic!("the device never has enough");
    }

    /// Stops the device, takes its state through the bytes of a section, and goes on with another in its place.
    pub(crate) fn migrate(&mut self, device: impl LiveDevice<Memory> + 'static) {
        let state = self.stop();
        self.go_on(device, &state);
    }

    /// Goes on with another device in the place of the one that was stopped.
    pub(crate) fn go_on(&mut self, device: impl LiveDevice<Memory> + 'static, state: &VirtioState) {
        let mut bytes = Writer::new();
        save_section(state, &mut bytes);
        let offered = self.core.offered();
        let companions = self.companions();
        self.core = LiveCore::new(Box::new(device), self.memory.clone(), offered, Endianness::Little);
        self.core.resume(self.load(bytes.as_bytes())).unwrap();
        for (address, companion) in companions {
            self.core.resume_companion(&address, companion).unwrap();
        }
        self.core.kick();
        self.settle();
    }

    /// What has sections of its own behind that of the stopped device, out of their bytes.
    pub(crate) fn companions(&mut self) -> Vec<(String, Companion)> {
        let switches = self.core.shape(TransportKind::Mmio).switches;
        let through_bytes = |(address, companion): (String, Companion)| {
            let kind = companion.companion_type();
            let mut bytes = Writer::new();
            companion.save(&mut bytes);
            let body = Reader::new(bytes.as_bytes(), 0);
            (address, Companion::load(kind, switches, kind.version, &body).unwrap().state)
        };
        self.core.device_mut().companions().into_iter().map(through_bytes).collect()
    }

    /// Stops the device.
    pub(crate) fn stop(&mut self) -> VirtioState {
        let device = self.core.stop().unwrap();
        let _ = self.core.take_interrupts();
        let transport = TransportState::Mmio(Mmio::default());
        let layout = transport.as_dyn().ring_layout();
        let core = self.core.state(layout, Some(ExtraState::Mmio(MmioExtraState::default())));
        VirtioState { transport, core, device }
    }

    /// Loads a section's body for the device that is here.
    pub(crate) fn load(&self, body: &[u8]) -> StoppedDevice {
        let shape = self.core.shape(TransportKind::Mmio);
        let ram = Ram(&self.memory);
        let memory = DeviceMemory::direct(&ram);
        let loaded = load_section(&shape, shape.device.version, &memory, &Reader::new(body, 0)).unwrap();
        loaded.accept().unwrap()
    }

    fn allocate(&mut self, bytes: u64) -> u64 {
        let at = self.next_buffer;
        self.next_buffer = (at + bytes).next_multiple_of(16);
        if self.next_buffer >= 0xf0_0000 {
            self.next_buffer = BUFFERS;
        }
        at
    }
}

/// A disk that has no room while it is told so.
pub(crate) struct Failing(pub(crate) MemoryDisk, pub(crate) Arc<AtomicBool>);

impl Disk for Failing {
    fn sectors(&self) -> u64 {
        self.0.sectors()
    }
    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, bytes)
    }
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match self.1.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => self.0.write(offset, bytes),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        self.write(0, &[])
    }
}
