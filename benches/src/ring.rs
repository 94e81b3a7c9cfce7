//! Rings: a device takes every chain of a full ring, looks at every buffer, returns the chain, and asks whether to
//! notify. Against rust-vmm's `virtio-queue` on the same ring, and packed against split.
//!
//! The driver's part is not measured. `virtio-queue` has no packed rings.

#[path = "../../crates/virtio/tests/ring/driver.rs"]
#[expect(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "the tests' driver: they use all of it, and may panic"
)]
mod driver;

use std::hint::black_box;
use std::time::Duration;

use driver::{BUFFERS, Config, Driver, Memory, SLOT, memory};
use virtio::ring::RunningQueue;
use virtio_queue::{Queue, QueueOwnedT, QueueT};

use crate::Failed;
use crate::measured::{Measured, Row};
use crate::turn::{Contest, timed};

const ROUNDS: usize = 2001;
/// Descriptors of a ring, or indirect tables.
const SIZE: u16 = 256;
/// Buffers of each chain, and whether they are in an indirect table.
const CHAINS: [(u16, bool); 5] = [(1, false), (3, false), (16, false), (3, true), (16, true)];
const BUFFER: u32 = 64;

/// A ring, its driver, and a device.
struct World<D> {
    memory: Memory,
    driver: Driver,
    device: D,
    /// Buffers of each chain.
    buffers: u16,
}

impl<D> World<D> {
    fn new(
        packed: bool,
        (buffers, indirect): (u16, bool),
        start: impl FnOnce(&Driver, &Memory) -> Result<D, Failed>,
    ) -> Result<Self, Failed> {
        let config =
            Config { size: SIZE, packed, event_idx: true, indirect, in_order: false, big_endian: false };
        let memory = memory();
        let driver = Driver::new(&memory, config);
        let device = start(&driver, &memory)?;
        Ok(Self { memory, driver, device, buffers })
    }

    /// The driver takes all that came back, and fills the ring; the device handles it. Gives how long that took.
    fn go(&mut self, work: impl Fn(&mut D, &Memory) -> Result<usize, Failed>) -> Duration {
        while self.driver.take(&self.memory).is_some() {}
        let buffers = self.buffers;
        let pieces = |id: u16| {
            let at = BUFFERS + u64::from(id) * SLOT;
            (0..buffers).map(|index| (at + 64 * u64::from(index), BUFFER, index > 0)).collect()
        };
        while self.driver.add(&self.memory, pieces, buffers).is_some() {}
        let mut handled = None;
        let took = timed(|| handled = work(&mut self.device, &self.memory).ok());
        let expected = if self.driver.config.indirect { SIZE } else { SIZE / buffers };
        assert_eq!(handled, Some(expected.into()), "chains that the device handled");
        took
    }
}

fn ours(driver: &Driver, memory: &Memory) -> Result<RunningQueue, Failed> {
    let config = driver.config;
    Ok(RunningQueue::start(&driver.state(), memory, config.features(), config.endianness())?)
}

fn theirs(driver: &Driver, _: &Memory) -> Result<Queue, Failed> {
    let mut queue = Queue::new(SIZE)?;
    let halves = |address: u64| (u32::try_from(address).ok(), Some(0));
    let (low, high) = halves(driver::RING);
    queue.set_desc_table_address(low, high);
    let (low, high) = halves(driver.avail);
    queue.set_avail_ring_address(low, high);
    let (low, high) = halves(driver.used);
    queue.set_used_ring_address(low, high);
    queue.set_event_idx(true);
    queue.set_ready(true);
    Ok(queue)
}

fn walk_ours(queue: &mut RunningQueue, memory: &Memory) -> Result<usize, Failed> {
    let mut queue = queue.attach(memory)?;
    let mut count = 0;
    while let Some(chain) = queue.pop()? {
        for buffer in chain.readable().iter().chain(chain.writable()) {
            black_box((buffer.addr, buffer.len));
        }
        queue.push(chain, BUFFER)?;
        count += 1;
    }
    black_box(queue.needs_notification()?);
    Ok(count)
}

fn walk_theirs(queue: &mut Queue, memory: &Memory) -> Result<usize, Failed> {
    let mut count = 0;
    loop {
        while let Some(chain) = queue.pop_descriptor_chain(memory) {
            let head = chain.head_index();
            for descriptor in chain {
                black_box((descriptor.addr(), descriptor.len()));
            }
            queue.add_used(memory, head, BUFFER)?;
            count += 1;
        }
        if !queue.enable_notification(memory)? {
            break;
        }
    }
    black_box(queue.needs_notification(memory)?);
    Ok(count)
}

/// Takes chains with `iter`, which reads the driver's index once for all of them: its fastest way.
fn walk_theirs_by_iter(queue: &mut Queue, memory: &Memory) -> Result<usize, Failed> {
    let mut count = 0;
    let mut heads = Vec::with_capacity(SIZE.into());
    loop {
        for chain in queue.iter(memory)? {
            heads.push(chain.head_index());
            for descriptor in chain {
                black_box((descriptor.addr(), descriptor.len()));
            }
        }
        count += heads.len();
        for head in heads.drain(..) {
            queue.add_used(memory, head, BUFFER)?;
        }
        if !queue.enable_notification(memory)? {
            break;
        }
    }
    black_box(queue.needs_notification(memory)?);
    Ok(count)
}

/// Measures it all.
pub(crate) fn measure(say: &mut dyn FnMut(Measured)) -> Result<(), Failed> {
    for chain in CHAINS {
        let mut split = World::new(false, chain, ours)?;
        let mut packed = World::new(true, chain, ours)?;
        let mut one_by_one = World::new(false, chain, theirs)?;
        let mut by_iter = World::new(false, chain, theirs)?;
        let medians = Contest::new()
            .enter("split", || split.go(walk_ours))
            .enter("packed", || packed.go(walk_ours))
            .enter("virtio-queue", || one_by_one.go(walk_theirs))
            .enter("virtio-queue, by `iter`", || by_iter.go(walk_theirs_by_iter))
            .run(ROUNDS);
        let (buffers, indirect) = chain;
        let kind = if indirect { "indirect chains" } else { "chains" };
        let named = |row: Row| {
            let (what, against) = (row.what.clone(), row.against.clone());
            Row { what: format!("{what}, {kind} of {buffers}"), against, ..row }
        };
        say(Measured::Row(named(medians.row("ring", "split", "virtio-queue").aim(1.0))));
        say(Measured::Row(named(medians.row("ring", "split", "virtio-queue, by `iter`").aim(1.1))));
        say(Measured::Row(named(medians.row("ring", "packed", "split"))));
    }
    Ok(())
}
