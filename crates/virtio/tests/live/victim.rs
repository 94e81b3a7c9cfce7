//! A device whose driver means harm, and what it must leave alone: for the tests here, and for `fuzz`.
#![allow(dead_code, reason = "each user takes its part")]

use virtio::core::{Endianness, Features, Status};
use virtio::live::{LiveCore, Place};
use vm_memory::{Bytes, GuestAddress};

use crate::devices::{Kind, Memory};

/// Where rings are; a page for each queue.
pub(crate) const RINGS: u64 = 0x1_0000;
const RING_BYTES: u64 = 0x1000;
/// The driver's and the device's area in that page.
const DRIVER: u64 = 0x400;
const DEVICE: u64 = 0x800;
/// Memory that no driver ever gives to a device.
const PRIVATE: std::ops::Range<u64> = 0x8_0000..0x10_0000;
/// Memory for buffers and indirect tables, up to the end.
pub(crate) const BUFFERS: u64 = 0x10_0000;
pub(crate) const END: u64 = 0x20_0000;
/// Entries of each ring.
pub(crate) const SIZE: u16 = 8;

pub(crate) const NEXT: u16 = 1;
pub(crate) const WRITE: u16 = 2;
pub(crate) const INDIRECT: u16 = 4;
/// Of a packed ring's first turn.
const AVAILABLE: u16 = 1 << 7;

/// A descriptor: address, length, flags, and the next one (packed: the buffer's id).
pub(crate) type Descriptor = (u64, u32, u16, u16);

/// A running device, and the driver's hand in its memory.
pub(crate) struct Victim {
    pub(crate) core: LiveCore<Memory>,
    pub(crate) memory: Memory,
    pub(crate) is_packed: bool,
    known: Features,
    stir: Box<dyn FnMut()>,
}

impl Victim {
    /// A device that its driver has set up: all features, small rings, nothing in them.
    pub(crate) fn new(kind: &Kind, is_packed: bool) -> Self {
        let (device, stir) = (kind.make)();
        let memory = Memory::from_ranges(&[(GuestAddress(0), END as usize)]).unwrap();
        memory.write_slice(&private(), GuestAddress(PRIVATE.start)).unwrap();
        let bits = [Features::VERSION_1, Features::INDIRECT_DESC, Features::EVENT_IDX];
        let bits = bits.into_iter().chain(is_packed.then_some(Features::RING_PACKED));
        let core = LiveCore::new(device, memory.clone(), bits.collect(), Endianness::Little);
        let mut victim = Self { core, memory, is_packed, known: kind.known, stir };
        victim.set_up(Features(u128::MAX));
        victim
    }

    /// Resets the device and sets it up anew, with these of its features.
    pub(crate) fn set_up(&mut self, known: Features) {
        self.core.set_status(0);
        self.memory.write_slice(&vec![0; (PRIVATE.start - RINGS) as usize], GuestAddress(RINGS)).unwrap();
        let status = Status::ACKNOWLEDGE | Status::DRIVER;
        self.core.set_status(status);
        self.core.set_features(Features(self.core.offered().0 & self.known.0 & known.0));
        self.core.set_status(status | Status::FEATURES_OK);
        for queue in 0..self.core.queues().len() {
            let desc = RINGS + RING_BYTES * queue as u64;
            self.core.set_queue_size(queue, SIZE);
            self.core.enable_queue(queue, Place { desc, avail: desc + DRIVER, used: desc + DEVICE });
        }
        self.core.set_status(status | Status::FEATURES_OK | Status::DRIVER_OK);
    }

    /// Writes descriptors to a place. In a packed ring they are available.
    pub(crate) fn put(&self, at: u64, descriptors: &[Descriptor]) {
        for (at, &(address, len, flags, next)) in (at..).step_by(16).zip(descriptors) {
            let last = if self.is_packed { [next, flags | AVAILABLE] } else { [flags, next] };
            let halves: Vec<u8> = last.iter().flat_map(|half| half.to_le_bytes()).collect();
            let bytes = [&address.to_le_bytes()[..], &len.to_le_bytes(), &halves].concat();
            self.memory.write_slice(&bytes, GuestAddress(at)).unwrap();
        }
    }

    /// Puts descriptors into a ring, and makes the first available.
    pub(crate) fn offer(&self, queue: usize, ring: &[Descriptor]) {
        let desc = RINGS + RING_BYTES * queue as u64;
        self.put(desc, ring);
        if !self.is_packed {
            self.avail(queue, 1, 0);
        }
    }

    /// Says that so many chains are available in a split ring, each of which begins here.
    pub(crate) fn avail(&self, queue: usize, idx: u16, head: u16) {
        let at = RINGS + RING_BYTES * queue as u64 + DRIVER;
        for entry in 0..u64::from(SIZE) {
            self.memory.write_obj(head, GuestAddress(at + 4 + 2 * entry)).unwrap();
        }
        self.memory.write_obj(idx, GuestAddress(at + 2)).unwrap();
    }

    /// Has the device do what it can for these queues.
    pub(crate) fn work(&mut self, queues: impl IntoIterator<Item = usize>) {
        (self.stir)();
        queues.into_iter().for_each(|queue| self.core.notify(queue));
        for _ in 0..100 {
            if !self.core.poll() {
                return;
            }
        }
    }

    /// Memory, but for what devices may write at any time: their areas of the rings.
    pub(crate) fn seen(&self) -> Vec<u8> {
        let mut bytes = vec![0; END as usize];
        self.memory.read_slice(&mut bytes, GuestAddress(0)).unwrap();
        for queue in 0..self.core.queues().len() {
            let from = (RINGS + RING_BYTES * queue as u64 + DEVICE) as usize;
            bytes[from..from + (RING_BYTES - DEVICE) as usize].fill(0);
        }
        bytes
    }

    /// Whether the memory is as it was that no driver gave to a device.
    pub(crate) fn private_is_intact(&self) -> bool {
        let mut bytes = vec![0; (PRIVATE.end - PRIVATE.start) as usize];
        self.memory.read_slice(&mut bytes, GuestAddress(PRIVATE.start)).unwrap();
        bytes == private()
    }
}

/// What is in private memory.
fn private() -> Vec<u8> {
    vec![0xa5; (PRIVATE.end - PRIVATE.start) as usize]
}
