//! The driver's side of a ring, as small as it can be: written from the specification, with nothing of the
//! device's side in it.

use std::collections::HashMap;

use virtio::core::{Endianness, Features};
use virtio::ring::QueueState;
use virtio::ring::split::legacy_addresses;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

pub(crate) type Memory = GuestMemoryMmap<()>;

/// Where rings, indirect tables and buffers are.
pub(crate) const RING: u64 = 0x1_0000;
pub(crate) const TABLES: u64 = 0x4_0000;
pub(crate) const BUFFERS: u64 = 0x10_0000;
/// Bytes for each request's table and buffers.
pub(crate) const SLOT: u64 = 0x400;

pub(crate) fn memory() -> Memory {
    GuestMemoryMmap::from_ranges(&[(GuestAddress(0x1000), 0x7_f000), (GuestAddress(BUFFERS), 0x10_0000)])
        .unwrap()
}

/// How a ring is set up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Config {
    pub(crate) size: u16,
    pub(crate) packed: bool,
    pub(crate) event_idx: bool,
    pub(crate) indirect: bool,
    pub(crate) in_order: bool,
    /// Of a legacy split ring.
    pub(crate) big_endian: bool,
}

impl Config {
    pub(crate) fn endianness(&self) -> Endianness {
        if self.big_endian { Endianness::Big } else { Endianness::Little }
    }

    pub(crate) fn features(&self) -> Features {
        let bits = [
            (!self.big_endian, Features::VERSION_1),
            (self.packed, Features::RING_PACKED),
            (self.event_idx, Features::EVENT_IDX),
            (self.indirect, Features::INDIRECT_DESC),
            (self.in_order, Features::IN_ORDER),
        ];
        bits.into_iter().filter_map(|(is_set, bit)| is_set.then_some(bit)).collect()
    }
}

/// A buffer: address, bytes, and whether the device writes it.
pub(crate) type Piece = (u64, u32, bool);

pub(crate) struct Driver {
    pub(crate) config: Config,
    pub(crate) avail: u64,
    pub(crate) used: u64,
    /// Split: descriptors. Packed: ids.
    free: Vec<u16>,
    /// What each request in flight takes: its descriptors, first first (packed: as many).
    taken: HashMap<u16, Vec<u16>>,
    /// Split: the next index. Packed: the next descriptor, the wrap counter, and how many are free.
    pub(crate) avail_idx: u16,
    avail_wrap: bool,
    room: u16,
    used_idx: u16,
    used_wrap: bool,
    /// Where the driver was when it last decided whether to notify.
    notified: (u16, bool),
}

impl Driver {
    pub(crate) fn new(memory: &Memory, config: Config) -> Self {
        let (avail, used) = if config.packed {
            (RING + 0x8000, RING + 0x8004)
        } else {
            legacy_addresses(RING, config.size.into(), 4096)
        };
        memory.write_slice(&vec![0; 0x2_0000], GuestAddress(RING)).unwrap();
        Self {
            config,
            avail,
            used,
            free: (0..config.size).rev().collect(),
            taken: HashMap::new(),
            avail_idx: 0,
            avail_wrap: true,
            room: config.size,
            used_idx: 0,
            used_wrap: true,
            notified: (0, true),
        }
    }

    pub(crate) fn state(&self) -> QueueState {
        QueueState::new(self.config.size, RING, self.avail, self.used)
    }

    pub(crate) fn put16(&self, memory: &Memory, address: u64, value: u16) {
        let bytes = if self.config.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        memory.write_slice(&bytes, GuestAddress(address)).unwrap();
    }

    pub(crate) fn get16(&self, memory: &Memory, address: u64) -> u16 {
        let mut bytes = [0; 2];
        memory.read_slice(&mut bytes, GuestAddress(address)).unwrap();
        self.config.endianness().u16(bytes)
    }

    fn get32(&self, memory: &Memory, address: u64) -> u32 {
        let mut bytes = [0; 4];
        memory.read_slice(&mut bytes, GuestAddress(address)).unwrap();
        self.config.endianness().u32(bytes)
    }

    /// Writes a descriptor; `last` is the next (split), or the id and the flags (packed: in that order).
    pub(crate) fn put_descriptor(
        &self,
        memory: &Memory,
        at: u64,
        (address, len): (u64, u32),
        last: [u16; 2],
    ) {
        let mut bytes = Vec::new();
        if self.config.big_endian {
            bytes.extend(address.to_be_bytes());
            bytes.extend(len.to_be_bytes());
            last.iter().for_each(|half| bytes.extend(half.to_be_bytes()));
        } else {
            bytes.extend(address.to_le_bytes());
            bytes.extend(len.to_le_bytes());
            last.iter().for_each(|half| bytes.extend(half.to_le_bytes()));
        }
        memory.write_slice(&bytes, GuestAddress(at)).unwrap();
    }

    /// Makes a request available, if there is room; gives its id.
    pub(crate) fn add(
        &mut self,
        memory: &Memory,
        pieces: impl FnOnce(u16) -> Vec<Piece>,
        count: u16,
    ) -> Option<u16> {
        let needed = if self.config.indirect { 1 } else { count };
        let free = if self.config.packed { self.room } else { u16::try_from(self.free.len()).unwrap() };
        if needed > free {
            return None;
        }
        let id = self.free.pop()?;
        let mut pieces = pieces(id);
        assert_eq!(pieces.len(), usize::from(count));
        let mut indirect = 0;
        if self.config.indirect {
            let table = TABLES + u64::from(id) * SLOT;
            for (index, &(address, len, write)) in pieces.iter().enumerate() {
                let at = table + 16 * index as u64;
                let more = index + 1 < pieces.len();
                let flags = u16::from(write) << 1 | u16::from(more && !self.config.packed);
                let next = u16::try_from(index + 1).unwrap();
                let last = if self.config.packed { [0, flags] } else { [flags, next] };
                self.put_descriptor(memory, at, (address, len), last);
            }
            pieces = vec![(table, 16 * u32::from(count), false)];
            indirect = 4;
        }
        if self.config.packed {
            self.add_packed(memory, id, &pieces, indirect);
        } else {
            self.add_split(memory, id, &pieces, indirect);
        }
        Some(id)
    }

    fn add_split(&mut self, memory: &Memory, head: u16, pieces: &[Piece], indirect: u16) {
        let mut all = vec![head];
        all.extend((1..pieces.len()).map(|_| self.free.pop().unwrap()));
        for (index, &(address, len, write)) in pieces.iter().enumerate() {
            let next = all.get(index + 1);
            let flags = u16::from(next.is_some()) | u16::from(write) << 1 | indirect;
            let at = RING + 16 * u64::from(all[index]);
            self.put_descriptor(memory, at, (address, len), [flags, next.copied().unwrap_or(0x7777)]);
        }
        self.taken.insert(head, all);
        self.put16(memory, self.avail + 4 + 2 * u64::from(self.avail_idx % self.config.size), head);
        self.avail_idx = self.avail_idx.wrapping_add(1);
        self.put16(memory, self.avail + 2, self.avail_idx);
    }

    fn add_packed(&mut self, memory: &Memory, id: u16, pieces: &[Piece], indirect: u16) {
        for (index, &(address, len, write)) in pieces.iter().enumerate() {
            let turn = if self.avail_wrap { 1 << 7 } else { 1 << 15 };
            let more = u16::from(index + 1 < pieces.len());
            let flags = more | u16::from(write) << 1 | indirect | turn;
            let at = RING + 16 * u64::from(self.avail_idx);
            self.put_descriptor(memory, at, (address, len), [id, flags]);
            self.avail_idx += 1;
            if self.avail_idx == self.config.size {
                (self.avail_idx, self.avail_wrap) = (0, !self.avail_wrap);
            }
        }
        let count = u16::try_from(pieces.len()).unwrap();
        self.room -= count;
        self.taken.insert(id, vec![0; pieces.len()]);
    }

    /// Whether the device wants to be notified of what was added since this was last asked.
    pub(crate) fn must_notify(&mut self, memory: &Memory) -> bool {
        let now = (self.avail_idx, self.avail_wrap);
        let before = std::mem::replace(&mut self.notified, now);
        if self.config.packed {
            let flags = self.get16(memory, self.used + 2);
            let place = self.get16(memory, self.used);
            let event = (place & 0x7fff, place >> 15 == 1);
            return match flags {
                2 => self.steps(before, event) < self.steps(before, now),
                flags => flags == 0 && now != before,
            };
        }
        if !self.config.event_idx {
            return self.get16(memory, self.used) & 1 == 0 && now != before;
        }
        let event = self.get16(memory, self.used + 4 + 8 * u64::from(self.config.size));
        event.wrapping_sub(before.0) < now.0.wrapping_sub(before.0)
    }

    fn steps(&self, from: (u16, bool), to: (u16, bool)) -> u16 {
        let at = |(index, wrap): (u16, bool)| index + if wrap { 0 } else { self.config.size };
        (at(to) + 2 * self.config.size - at(from)) % (2 * self.config.size)
    }

    /// Whether a used entry is there.
    pub(crate) fn has_used(&self, memory: &Memory) -> bool {
        if !self.config.packed {
            return self.get16(memory, self.used + 2) != self.used_idx;
        }
        let flags = self.get16(memory, RING + 16 * u64::from(self.used_idx) + 14);
        (flags >> 7 & 1 == 1) == self.used_wrap && (flags >> 15 == 1) == self.used_wrap
    }

    /// Takes the next used entry: its id and how many bytes were written.
    pub(crate) fn take(&mut self, memory: &Memory) -> Option<(u16, u32)> {
        if !self.has_used(memory) {
            return None;
        }
        let size = self.config.size;
        let (id, len) = if self.config.packed {
            let at = RING + 16 * u64::from(self.used_idx);
            (self.get16(memory, at + 12), self.get32(memory, at + 8))
        } else {
            let at = self.used + 4 + 8 * u64::from(self.used_idx % size);
            (u16::try_from(self.get32(memory, at)).unwrap(), self.get32(memory, at + 4))
        };
        let all = self.taken.remove(&id).expect("returned once, and only what was offered");
        let count = u16::try_from(all.len()).unwrap();
        if self.config.packed {
            self.free.push(id);
            self.room += count;
            self.used_idx += count;
            if self.used_idx >= size {
                (self.used_idx, self.used_wrap) = (self.used_idx - size, !self.used_wrap);
            }
        } else {
            self.free.extend(all);
            self.used_idx = self.used_idx.wrapping_add(1);
        }
        Some((id, len))
    }

    /// Asks to be interrupted for the next used entry; entries may have come before.
    pub(crate) fn want_interrupt(&self, memory: &Memory) {
        if !self.config.event_idx {
            return;
        }
        if self.config.packed {
            self.put16(memory, self.avail, self.used_idx | u16::from(self.used_wrap) << 15);
            self.put16(memory, self.avail + 2, 2);
        } else {
            self.put16(memory, self.avail + 4 + 2 * u64::from(self.config.size), self.used_idx);
        }
    }
}
