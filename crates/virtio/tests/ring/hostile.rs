//! Drivers that mean harm: an error, a broken queue, and nothing after it.

use proptest::prelude::*;
use virtio::core::Features;
use virtio::ring::{Part, QueueState, RingError, RunningQueue, StartError};
use vm_memory::{Bytes, GuestAddress};

use super::driver::{BUFFERS, Config, Driver, Memory, RING, TABLES, memory};

const SPLIT: Config =
    Config { size: 8, packed: false, event_idx: true, indirect: true, in_order: false, big_endian: false };
const PACKED: Config = Config { packed: true, ..SPLIT };

const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;
/// Available in the first turn.
const AVAILABLE: u16 = 1 << 7;

fn start(driver: &Driver, memory: &Memory) -> RunningQueue {
    let config = driver.config;
    RunningQueue::start(&driver.state(), memory, config.features(), config.endianness()).unwrap()
}

/// What a device makes of these descriptors at the start of a ring: address, bytes, and the last two halves.
fn pop(config: Config, ring: &[(u64, u32, [u16; 2])], table: &[(u64, u32, [u16; 2])]) -> RingError {
    let memory = memory();
    let driver = Driver::new(&memory, config);
    for (base, descriptors) in [(RING, ring), (TABLES, table)] {
        for (at, &(address, len, last)) in (base..).step_by(16).zip(descriptors) {
            driver.put_descriptor(&memory, at, (address, len), last);
        }
    }
    if !config.packed {
        driver.put16(&memory, driver.avail + 2, 1);
    }
    broken_by(&memory, start(&driver, &memory))
}

/// The error of the next `pop`, after which nothing else happens.
fn broken_by(memory: &Memory, mut queue: RunningQueue) -> RingError {
    let mut attached = queue.attach(memory).unwrap();
    let error = attached.pop().unwrap_err();
    assert_eq!(attached.pop().unwrap_err(), RingError::Broken);
    assert_eq!(attached.enable_notification().unwrap_err(), RingError::Broken);
    assert!(queue.is_broken());
    assert_eq!(queue.attach(memory).unwrap_err(), RingError::Broken);
    error
}

#[test]
fn split_chains_are_checked() {
    let b = BUFFERS;
    let check = |ring: &[_], expected| assert_eq!(pop(SPLIT, ring, &[]), expected);
    check(&[(b, 0, [0, 0])], RingError::ZeroLength { address: b });
    check(
        &[(b, 4, [WRITE | NEXT, 1]), (b + 8, 4, [0, 0])],
        RingError::ReadableAfterWritable { address: b + 8 },
    );
    check(&[(0xdead_0000, 4, [0, 0])], RingError::Buffer { address: 0xdead_0000, len: 4 });
    check(&[(u64::MAX - 1, 4, [0, 0])], RingError::Buffer { address: u64::MAX - 1, len: 4 });
    check(&[(b, 0x20_0000, [0, 0])], RingError::Buffer { address: b, len: 0x20_0000 });
    check(&[(b, 4, [NEXT, 8])], RingError::DescriptorIndex { index: 8, limit: 8 });
    check(&[(b, 4, [NEXT, 1]), (b, 4, [NEXT, 0])], RingError::Loop { head: 0, limit: 8 });
    check(&[(b, 4, [NEXT, 0])], RingError::Loop { head: 0, limit: 8 });
}

#[test]
fn indirect_tables_are_checked() {
    let (b, t) = (BUFFERS, TABLES);
    for config in [SPLIT, PACKED] {
        let last = |flags: u16| if config.packed { [0, flags | AVAILABLE] } else { [flags, 0] };
        let inner = |flags: u16, next: u16| if config.packed { [0, flags] } else { [flags, next] };
        let check = |ring: &[_], table: &[_], expected| assert_eq!(pop(config, ring, table), expected);
        let table = |len| [(t, len, last(INDIRECT))];
        check(&table(0), &[], RingError::IndirectLength { len: 0 });
        check(&table(24), &[], RingError::IndirectLength { len: 24 });
        let (address, len) = (t, 0x10_0000);
        check(&table(len), &[], RingError::IndirectTable { address, len });
        check(&[(t, 16, last(INDIRECT | NEXT))], &[], RingError::IndirectLinked);
        check(&table(16), &[(t, 16, inner(INDIRECT, 0))], RingError::IndirectInIndirect);
        check(&table(16), &[(b, 0, inner(0, 0))], RingError::ZeroLength { address: b });
        let not_negotiated = Config { indirect: false, ..config };
        assert_eq!(pop(not_negotiated, &table(16), &[]), RingError::IndirectNotNegotiated);
        if !config.packed {
            check(&table(16), &[(b, 4, inner(NEXT, 1))], RingError::DescriptorIndex { index: 1, limit: 1 });
            let looping = [(b, 4, inner(NEXT, 1)), (b, 4, inner(NEXT, 0))];
            check(&table(32), &looping, RingError::Loop { head: 0, limit: 2 });
            check(&table(0x8000), &looping, RingError::TooManyBuffers { limit: 1024 });
        }
    }
}

#[test]
fn packed_chains_are_checked() {
    let b = BUFFERS;
    let check = |ring: &[_], expected| assert_eq!(pop(PACKED, ring, &[]), expected);
    check(&[(b, 4, [8, AVAILABLE])], RingError::BufferId { id: 8, size: 8 });
    check(&[(b, 4, [0, AVAILABLE | NEXT]); 8], RingError::TooManyInFlight { inuse: 0, offered: 9, size: 8 });
    let linked = [(b, 4, [0, AVAILABLE | NEXT]), (TABLES, 16, [0, AVAILABLE | INDIRECT])];
    check(&linked, RingError::IndirectLinked);
}

#[test]
fn a_chain_has_at_most_four_gibibytes() {
    let memory = Memory::from_ranges(&[(GuestAddress(0x1_0000), 0x8000_0000)]).unwrap();
    let driver = Driver::new(&memory, SPLIT);
    for index in 0..3 {
        driver.put_descriptor(&memory, RING + 16 * index, (0x10_0000, 0x7000_0000), [NEXT, index as u16 + 1]);
    }
    driver.put16(&memory, driver.avail + 2, 1);
    assert_eq!(broken_by(&memory, start(&driver, &memory)), RingError::TooLong);
}

#[test]
fn an_index_cannot_jump() {
    let memory = memory();
    let driver = Driver::new(&memory, SPLIT);
    let queue = start(&driver, &memory);
    driver.put16(&memory, driver.avail + 2, 9);
    let expected = RingError::AvailIndex { avail_idx: 9, last_avail_idx: 0, size: 8 };
    assert_eq!(broken_by(&memory, queue), expected);
    // As it was found before the start.
    let config = driver.config;
    let error = RunningQueue::start(&driver.state(), &memory, config.features(), config.endianness());
    assert_eq!(error.unwrap_err(), StartError::Ring(expected));
}

#[test]
fn no_more_is_taken_than_the_ring_has() {
    let memory = memory();
    let driver = Driver::new(&memory, SPLIT);
    driver.put_descriptor(&memory, RING, (BUFFERS, 4), [0, 0]);
    driver.put16(&memory, driver.avail + 2, 8);
    let mut queue = start(&driver, &memory);
    let mut chains = Vec::new();
    let mut attached = queue.attach(&memory).unwrap();
    for _ in 0..8 {
        chains.push(attached.pop().unwrap().unwrap());
    }
    // The driver offers more though nothing came back.
    driver.put16(&memory, driver.avail + 2, 9);
    let expected = RingError::TooManyInFlight { inuse: 8, offered: 1, size: 8 };
    assert_eq!(attached.pop().unwrap_err(), expected);
    // A broken queue still stops, with all it has.
    let stopped = queue.stop(&memory, chains, super::saved::shape().switches).unwrap();
    assert_eq!((stopped.elements.len(), stopped.state.packed.inuse), (8, 8));
}

#[test]
fn a_ring_outside_memory_breaks_the_queue() {
    let memory = memory();
    let mut queue = start(&Driver::new(&memory, SPLIT), &memory);
    let smaller = Memory::from_ranges(&[(GuestAddress(0), 0x1000)]).unwrap();
    let expected = RingError::Area { part: Part::Descriptors, address: RING, length: 128 };
    assert_eq!(queue.attach(&smaller).unwrap_err(), expected);
    assert_eq!(queue.attach(&memory).unwrap_err(), RingError::Broken);
}

#[test]
fn a_state_is_checked_before_it_runs() {
    let memory = memory();
    for config in [SPLIT, PACKED] {
        let driver = Driver::new(&memory, config);
        let refused = |change: &dyn Fn(&mut QueueState)| {
            let mut state = driver.state();
            change(&mut state);
            RunningQueue::start(&state, &memory, config.features(), config.endianness()).unwrap_err()
        };
        assert_eq!(refused(&|state| state.queue.desc = 0), StartError::NotSetUp);
        assert_eq!(refused(&|state| state.queue.num = 0), StartError::Size { size: 0, limit: 1024 });
        assert_eq!(refused(&|state| state.queue.num = 2048), StartError::Size { size: 2048, limit: 1024 });
        let alignment = |part, address, align| StartError::Alignment { part, address, align };
        assert_eq!(refused(&|state| state.queue.desc = RING + 8), alignment(Part::Descriptors, RING + 8, 16));
        assert_eq!(refused(&|state| state.addresses.used += 2), alignment(Part::Device, driver.used + 2, 4));
        let gone = refused(&|state| state.addresses.used = 1 << 40);
        assert!(matches!(gone, StartError::Ring(RingError::Area { part: Part::Device, .. })), "{gone}");
        if config.packed {
            let index = StartError::PackedIndex { index: 8, size: 8 };
            assert_eq!(refused(&|state| state.packed.used_idx = 8), index);
            assert_eq!(refused(&|state| state.packed.inuse = 2), StartError::InUse { inuse: 2, distance: 0 });
            let legacy = Features(config.features().0 & !(1 << Features::VERSION_1));
            let error = RunningQueue::start(&driver.state(), &memory, legacy, config.endianness());
            assert_eq!(error.unwrap_err(), StartError::LegacyPacked);
        } else {
            assert_eq!(refused(&|state| state.queue.num = 6), StartError::SizeNotPowerOfTwo { size: 6 });
            let used = StartError::UsedIndex { last_avail_idx: 9, used_idx: 0, size: 8 };
            assert_eq!(refused(&|state| state.queue.last_avail_idx = 9), used);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is in the ring, and however it changes while the device works: an error or a chain in memory.
    #[test]
    fn no_ring_makes_a_device_panic_or_hang(
        packed: bool,
        in_order: bool,
        rounds in prop::collection::vec(prop::collection::vec((0_u16..160, any::<u8>()), 0..80), 1..6),
    ) {
        let memory = memory();
        let config = Config { in_order, ..if packed { PACKED } else { SPLIT } };
        let driver = Driver::new(&memory, config);
        for index in 0..8 {
            let last = if packed { [index, AVAILABLE] } else { [0, 0] };
            driver.put_descriptor(&memory, RING + 16 * u64::from(index), (BUFFERS, 16), last);
        }
        let mut queue = start(&driver, &memory);
        let mut chains = Vec::new();
        for round in rounds {
            for (at, byte) in round {
                let at = if at < 128 { RING + u64::from(at) } else { driver.avail + u64::from(at - 128) };
                memory.write_slice(&[byte], GuestAddress(at)).unwrap();
            }
            let Ok(mut attached) = queue.attach(&memory) else { break };
            for _ in 0..12 {
                let Ok(Some(chain)) = attached.pop() else { break };
                prop_assert!(chain.readable_len() + chain.writable_len() > 0);
                chains.push(chain);
            }
            for chain in chains.drain(chains.len() / 2..) {
                let _ = attached.push(chain, 1);
            }
            let _ = attached.needs_notification();
        }
        let is_broken = queue.is_broken();
        let stopped = queue.stop(&memory, chains, super::saved::shape().switches);
        prop_assert!(is_broken || stopped.is_ok());
    }
}
