//! The rings of real guests, as QEMU wrote their states: they start, everything that waits in them can be
//! taken, and what was only looked at stops as the state it came from.

use virtio::core::Features;
use virtio::device::DeviceState;
use virtio::element::Element;
use virtio::guest::MemoryPath;
use virtio::memory::{Layout, RingMemory, StreamMemory};
use virtio::ring::{QueueState, RunningQueue};
use vm_memory::{Bytes, GuestAddress};

use super::common::{Fixture, fixture};
use super::driver::Memory;
use super::saved::shape;

/// Split and packed, legacy and modern, both byte orders, each transport, requests in flight.
const STREAMS: [&str; 8] = [
    "arm64-virt-mmio-q10.0",
    "ppc64-pseries-slof-be-q10.0",
    "s390x-ccw-ioerr-q10.0",
    "x86-i440fx-legacy-q10.0",
    "x86-microvm-mmio-legacy-q10.0",
    "x86-q35-blk-ioerr-q10.0",
    "x86-q35-net-mq4-q10.0",
    "x86-q35-packed-q10.0",
];

/// Guest memory with nothing but the parts of a ring in it.
fn memory_of(ring: &dyn RingMemory, state: &QueueState) -> Memory {
    let memory = Memory::from_ranges(&[(GuestAddress(0), 8 << 30)]).unwrap();
    let size = u64::from(state.queue.num);
    let parts = [(state.queue.desc, 16), (state.addresses.avail, 2), (state.addresses.used, 8)];
    for (address, each) in parts {
        for at in (address..address + each * size + 6).step_by(2) {
            let mut bytes = [0; 2];
            if ring.read(at, &mut bytes).is_ok() {
                memory.write_slice(&bytes, GuestAddress(at)).unwrap();
            }
        }
    }
    // The tables that descriptors refer to.
    for index in 0..size {
        let mut descriptor = [0; 16];
        ring.read(state.queue.desc + 16 * index, &mut descriptor).unwrap();
        let table = u64::from_le_bytes(descriptor[..8].try_into().unwrap());
        let mut bytes =
            vec![0; u32::from_le_bytes(descriptor[8..12].try_into().unwrap()).min(0x4000) as usize];
        if table < 8 << 30 && ring.read(table, &mut bytes).is_ok() {
            memory.write_slice(&bytes, GuestAddress(table)).unwrap();
        }
    }
    memory
}

/// Runs each queue of a stream's devices; gives how many, how many requests waited, and how many were in flight.
fn run(Fixture { name, source, stream, guest, .. }: &Fixture) -> [usize; 3] {
    let ram = stream.ram.as_ref().unwrap();
    let layout = Layout::for_ram(guest.machine.as_ref().unwrap(), ram).unwrap();
    let ring = StreamMemory::new(ram, source.as_ref(), &layout);
    let mut counts = [0; 3];
    for (section, device) in guest.devices(stream) {
        let loaded = device.loaded.as_ref().unwrap();
        if device.memory != MemoryPath::Physical {
            continue;
        }
        for index in 0..loaded.rings.len() {
            let state = QueueState::of(loaded, index).unwrap();
            if state.queue.desc == 0 || loaded.rings[index].unread.is_some() {
                continue;
            }
            let what = format!("{name}, {}, queue {index}", section.name);
            let memory = memory_of(&ring, &state);
            let mut queue = RunningQueue::start(&state, &memory, loaded.features, loaded.endianness)
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            let elements: Vec<Element> = match &loaded.state.device {
                DeviceState::Blk(blk) => {
                    let own =
                        blk.requests.iter().filter(|request| request.queue.unwrap_or(0) as usize == index);
                    own.map(|request| request.element.clone()).collect()
                }
                _ => Vec::new(),
            };
            let chains: Vec<_> =
                elements.iter().map(|element| queue.resume(&memory, element).unwrap()).collect();
            let mut attached = queue.attach(&memory).unwrap();
            let mut taken = Vec::new();
            while let Some(chain) = attached.pop().unwrap_or_else(|error| panic!("{what}: {error}")) {
                taken.push(chain);
            }
            if let Some(avail_idx) = loaded.rings[index].avail_idx {
                assert_eq!(
                    taken.len(),
                    usize::from(avail_idx.wrapping_sub(state.queue.last_avail_idx)),
                    "{what}"
                );
            }
            counts = [counts[0] + 1, counts[1] + taken.len(), counts[2] + chains.len()];
            while let Some(chain) = taken.pop() {
                attached.unpop(chain).unwrap();
            }
            let switches = if elements.iter().any(|element| element.ndescs.is_some()) {
                shape().switches
            } else {
                virtio::shape::Switches::default()
            };
            let stopped = queue.stop(&memory, chains, switches).unwrap();
            assert_eq!(stopped.elements, elements, "{what}");
            assert_eq!(
                (&stopped.state.queue, stopped.state.addresses),
                (&state.queue, state.addresses),
                "{what}"
            );
            if loaded.state.core.subsections.packed_virtqueues.is_some() {
                assert_eq!(stopped.state.packed, state.packed, "{what}");
                assert!(loaded.features.has(Features::VERSION_1));
            }
        }
    }
    counts
}

#[test]
fn queues_of_real_guests_start_and_stop_as_they_were() {
    for name in STREAMS {
        let [queues, _, in_flight] = run(&fixture(name));
        assert!(queues > 0, "{name}");
        assert_eq!(in_flight > 0, name.contains("ioerr"), "{name}");
    }
}
