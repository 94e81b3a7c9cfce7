//! A device built on rust-vmm's `virtio-queue`, saved through vmig's state types: as the section that QEMU's
//! virtio-rng on virtio-mmio has, and back into a queue that goes on.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "an example is short"
)]

use std::error::Error;

use virtio::core::{Core, Endianness, Features64, Queue as SavedQueue, Status, Subsections, Virtqueues};
use virtio::device::{Device, DeviceState, no_state::Rng};
use virtio::memory::DeviceMemory;
use virtio::ring::{QueueState, Ram};
use virtio::section::{load_section, save_section};
use virtio::transport::{
    ExtraState, Mmio, MmioExtraState, MmioModernState, MmioQueue, TransportKind, TransportState,
};
use virtio::{Shape, VirtioState};
use virtio_queue::{Queue, QueueT};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};
use vmstate::{Reader, Writer};

const VERSION_1: u64 = 1 << 32;
const DESC: u64 = 0x1000;
const AVAIL: u64 = 0x2000;
const USED: u64 = 0x3000;

/// What a device with one `virtio-queue` queue stops into.
fn state(queue: &Queue) -> VirtioState {
    let saved = QueueState {
        queue: SavedQueue {
            num: queue.size().into(),
            align: Some(4096),
            desc: queue.desc_table(),
            last_avail_idx: queue.next_avail(),
        },
        ..QueueState::new(queue.size(), queue.desc_table(), queue.avail_ring(), queue.used_ring())
    };
    let halves = |address: u64| {
        [u32::try_from(address & 0xffff_ffff).unwrap_or(0), u32::try_from(address >> 32).unwrap_or(0)]
    };
    let mut modern = MmioModernState { guest_features: halves(VERSION_1), ..MmioModernState::default() };
    let [desc, avail, used] = [queue.desc_table(), queue.avail_ring(), queue.used_ring()].map(halves);
    modern.vqs.set(0, MmioQueue { num: queue.size(), enabled: queue.ready(), desc, avail, used });
    let extra_state = ExtraState::Mmio(MmioExtraState { state: Some(modern) });
    let mut core = Core {
        status: Status(Status::ACKNOWLEDGE | Status::DRIVER | Status::FEATURES_OK | Status::DRIVER_OK),
        queues: vec![saved.queue.clone()],
        subsections: Subsections {
            features_64: Some(Features64 { guest_features: VERSION_1 }),
            virtqueues: Some(Virtqueues::default()),
            extra_state: Some(virtio::core::ExtraStateSubsection { extra_state }),
            ..Subsections::default()
        },
        ..Core::default()
    };
    saved.put(&mut core, 0);
    VirtioState { transport: TransportState::Mmio(Mmio::default()), core, device: DeviceState::Rng(Rng {}) }
}

/// The queue that goes on from where another stopped.
fn queue(state: &QueueState, used_idx: u16) -> Result<Queue, Box<dyn Error>> {
    let mut queue = Queue::new(u16::try_from(state.queue.num)?)?;
    let halves = |address: u64| (Some(address as u32), Some((address >> 32) as u32));
    let ((low, high), avail, used) =
        (halves(state.queue.desc), halves(state.addresses.avail), halves(state.addresses.used));
    queue.set_desc_table_address(low, high);
    queue.set_avail_ring_address(avail.0, avail.1);
    queue.set_used_ring_address(used.0, used.1);
    queue.set_next_avail(state.queue.last_avail_idx);
    queue.set_next_used(used_idx);
    queue.set_ready(true);
    Ok(queue)
}

fn main() -> Result<(), Box<dyn Error>> {
    run()
}

pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let memory = GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(0), 0x10_0000)])?;
    let mut running = Queue::new(16)?;
    running.set_desc_table_address(Some(DESC as u32), Some(0));
    running.set_avail_ring_address(Some(AVAIL as u32), Some(0));
    running.set_used_ring_address(Some(USED as u32), Some(0));
    running.set_ready(true);
    // The driver has offered one buffer of eight bytes, and the device has filled it.
    for (at, bytes) in [
        (DESC, [&0x8000_u64.to_le_bytes()[..], &8_u32.to_le_bytes(), &2_u16.to_le_bytes(), &[0; 2]].concat()),
        (AVAIL + 2, 1_u16.to_le_bytes().to_vec()),
    ] {
        memory.write_slice(&bytes, GuestAddress(at))?;
    }
    let chain = running.pop_descriptor_chain(&memory).ok_or("nothing was offered")?;
    running.add_used(&memory, chain.head_index(), 8)?;

    // Stopped: the section is QEMU's, byte for byte.
    let mut section = Writer::new();
    save_section(&state(&running), &mut section);
    println!("a section of {} bytes", section.as_bytes().len());

    // Elsewhere: the load procedure checks it against guest memory, and derives what the stream lacks.
    let shape = Shape::unknown(&Rng::TYPE, TransportKind::Mmio, Endianness::Little);
    let ram = Ram(&memory);
    let loaded = load_section(&shape, 1, &DeviceMemory::direct(&ram), &Reader::new(section.as_bytes(), 0))?;
    let stopped = loaded.accept()?;
    let ring = &stopped.loaded().rings[0];
    let state = QueueState::of(stopped.loaded(), 0).ok_or("it has a queue")?;
    let resumed = queue(&state, ring.used_idx.ok_or("the ring is in memory")?)?;
    assert_eq!((resumed.next_avail(), resumed.next_used()), (running.next_avail(), running.next_used()));
    println!("goes on at available index {}, used index {}", resumed.next_avail(), resumed.next_used());
    Ok(())
}
