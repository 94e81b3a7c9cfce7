//! Rings: taking chains and returning them, against rust-vmm's `virtio-queue` on the same ring, and packed
//! against split.
//!
//! `cargo bench -p virtio --bench ring`. What is measured is a device that handles a full ring of 256
//! descriptors (of 256 indirect tables): it takes every chain, looks at every buffer, returns the chain,
//! and asks whether to notify. The driver's part is not measured.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot run has to stop"
)]

#[path = "../tests/ring/driver.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod driver;

use std::cell::RefCell;
use std::io::{Read, Write};

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use driver::{BUFFERS, Config, Driver, Memory, SLOT, memory};
use virtio::ring::RunningQueue;
use virtio_queue::{Queue, QueueOwnedT, QueueT};

fn main() {
    divan::main();
}

const SIZE: u16 = 256;

/// Descriptors of each chain, and whether they are in an indirect table.
const CHAINS: [(u16, bool); 5] = [(1, false), (3, false), (16, false), (3, true), (16, true)];

/// A ring, its driver, and a device.
struct World<D> {
    memory: Memory,
    driver: Driver,
    device: D,
    /// Buffers of each chain, and bytes of each buffer.
    chain: (u16, u32),
}

impl<D> World<D> {
    fn new(
        packed: bool,
        (count, indirect): (u16, bool),
        len: u32,
        start: impl FnOnce(&Driver, &Memory) -> D,
    ) -> RefCell<Self> {
        let config =
            Config { size: SIZE, packed, event_idx: true, indirect, in_order: false, big_endian: false };
        let memory = memory();
        let driver = Driver::new(&memory, config);
        let device = start(&driver, &memory);
        RefCell::new(Self { memory, driver, device, chain: (count, len) })
    }

    /// The driver takes all that came back, and fills the ring.
    fn fill(&mut self) {
        while self.driver.take(&self.memory).is_some() {}
        let (count, len) = self.chain;
        let pieces = |id: u16| {
            let at = BUFFERS + u64::from(id) * SLOT;
            (0..count).map(|index| (at + 64 * u64::from(index), len, index > 0)).collect()
        };
        while self.driver.add(&self.memory, pieces, count).is_some() {}
    }

    fn chains(&self) -> usize {
        let (count, _) = self.chain;
        usize::from(if self.driver.config.indirect { SIZE } else { SIZE / count })
    }
}

fn run<D>(bencher: Bencher<'_, '_>, world: &RefCell<World<D>>, work: impl Fn(&mut D, &Memory) -> usize) {
    let chains = world.borrow().chains();
    bencher.counter(ItemsCount::new(chains)).with_inputs(|| world.borrow_mut().fill()).bench_local_values(
        |()| {
            let World { memory, device, .. } = &mut *world.borrow_mut();
            assert_eq!(work(device, memory), chains);
        },
    );
}

fn ours(driver: &Driver, memory: &Memory) -> RunningQueue {
    let config = driver.config;
    RunningQueue::start(&driver.state(), memory, config.features(), config.endianness()).unwrap()
}

fn theirs(driver: &Driver, _: &Memory) -> Queue {
    let mut queue = Queue::new(SIZE).unwrap();
    let halves = |address: u64| (u32::try_from(address).ok(), Some(0));
    let (low, high) = halves(driver::RING);
    queue.set_desc_table_address(low, high);
    let (low, high) = halves(driver.avail);
    queue.set_avail_ring_address(low, high);
    let (low, high) = halves(driver.used);
    queue.set_used_ring_address(low, high);
    queue.set_event_idx(true);
    queue.set_ready(true);
    queue
}

/// Looks at every buffer.
fn walk_ours(queue: &mut RunningQueue, memory: &Memory) -> usize {
    let mut queue = queue.attach(memory).unwrap();
    let mut count = 0;
    while let Some(chain) = queue.pop().unwrap() {
        for buffer in chain.readable().iter().chain(chain.writable()) {
            black_box((buffer.addr, buffer.len));
        }
        queue.push(chain, 64).unwrap();
        count += 1;
    }
    black_box(queue.needs_notification().unwrap());
    count
}

fn walk_theirs(queue: &mut Queue, memory: &Memory) -> usize {
    let mut count = 0;
    loop {
        while let Some(chain) = queue.pop_descriptor_chain(memory) {
            let head = chain.head_index();
            for descriptor in chain {
                black_box((descriptor.addr(), descriptor.len()));
            }
            queue.add_used(memory, head, 64).unwrap();
            count += 1;
        }
        if !queue.enable_notification(memory).unwrap() {
            break;
        }
    }
    black_box(queue.needs_notification(memory).unwrap());
    count
}

/// Takes chains with `iter`, which reads the driver's index once for all of them.
fn walk_theirs_by_iter(queue: &mut Queue, memory: &Memory) -> usize {
    let mut count = 0;
    let mut heads = [0; SIZE as usize];
    loop {
        let mut taken = 0;
        for chain in queue.iter(memory).unwrap() {
            heads[taken] = chain.head_index();
            taken += 1;
            for descriptor in chain {
                black_box((descriptor.addr(), descriptor.len()));
            }
        }
        for head in &heads[..taken] {
            queue.add_used(memory, *head, 64).unwrap();
        }
        count += taken;
        if !queue.enable_notification(memory).unwrap() {
            break;
        }
    }
    black_box(queue.needs_notification(memory).unwrap());
    count
}

#[divan::bench(args = CHAINS, sample_size = 1, sample_count = 3000)]
fn split(bencher: Bencher<'_, '_>, chain: (u16, bool)) {
    run(bencher, &World::new(false, chain, 64, ours), walk_ours);
}

#[divan::bench(args = CHAINS, sample_size = 1, sample_count = 3000)]
fn split_virtio_queue(bencher: Bencher<'_, '_>, chain: (u16, bool)) {
    run(bencher, &World::new(false, chain, 64, theirs), walk_theirs);
}

#[divan::bench(args = CHAINS, sample_size = 1, sample_count = 3000)]
fn split_virtio_queue_iter(bencher: Bencher<'_, '_>, chain: (u16, bool)) {
    run(bencher, &World::new(false, chain, 64, theirs), walk_theirs_by_iter);
}

#[divan::bench(args = CHAINS, sample_size = 1, sample_count = 3000)]
fn packed(bencher: Bencher<'_, '_>, chain: (u16, bool)) {
    run(bencher, &World::new(true, chain, 64, ours), walk_ours);
}

/// As a block device reads: a header of 64 bytes, then data and a status to write.
#[divan::bench(sample_size = 1, sample_count = 3000)]
fn copy_split(bencher: Bencher<'_, '_>) {
    let data = [7_u8; 128];
    run(bencher, &World::new(false, (3, false), 64, ours), |queue, memory| {
        let mut queue = queue.attach(memory).unwrap();
        let (mut count, mut header) = (0, [0; 64]);
        while let Some(chain) = queue.pop().unwrap() {
            chain.reader(memory).read_exact(&mut header).unwrap();
            black_box(&header);
            let mut writer = chain.writer(memory);
            writer.write_all(&data).unwrap();
            let written = writer.written();
            queue.push(chain, written).unwrap();
            count += 1;
        }
        count
    });
}

#[divan::bench(sample_size = 1, sample_count = 3000)]
fn copy_split_virtio_queue(bencher: Bencher<'_, '_>) {
    let data = [7_u8; 128];
    run(bencher, &World::new(false, (3, false), 64, theirs), |queue, memory| {
        let (mut count, mut header) = (0, [0; 64]);
        loop {
            while let Some(chain) = queue.pop_descriptor_chain(memory) {
                let head = chain.head_index();
                chain.clone().reader(memory).unwrap().read_exact(&mut header).unwrap();
                black_box(&header);
                let mut writer = chain.writer(memory).unwrap();
                writer.write_all(&data).unwrap();
                let written = u32::try_from(writer.bytes_written()).unwrap();
                queue.add_used(memory, head, written).unwrap();
                count += 1;
            }
            if !queue.enable_notification(memory).unwrap() {
                return count;
            }
        }
    });
}
