//! Drivers that mean harm: whatever is in a ring of whatever device, the device is broken as the specification says
//! (virtio 1.3 §2.1.2), and nothing else happens. `tests/ring/hostile.rs` has every error of a ring.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use virtio::core::{Features, Status};
use virtio::live::Interrupt;
use virtio::ring::RingError;
use vm_memory::{Bytes, GuestAddress};

use crate::devices::KINDS;
use crate::victim::{BUFFERS as B, Descriptor, END, INDIRECT, NEXT, RINGS, SIZE, Victim, WRITE};

/// Where the tables are.
const T: u64 = 0x18_0000;

/// What a driver does.
struct Trick {
    /// What is in the ring, and the table at [`T`].
    ring: &'static [Descriptor],
    table: &'static [Descriptor],
    error: RingError,
    /// In a split ring, and in a packed one.
    layouts: (bool, bool),
}

const BOTH: (bool, bool) = (true, true);
const SPLIT: (bool, bool) = (true, false);
const PACKED: (bool, bool) = (false, true);

const fn trick(
    layouts: (bool, bool),
    ring: &'static [Descriptor],
    table: &'static [Descriptor],
    error: RingError,
) -> Trick {
    Trick { ring, table, error, layouts }
}

const TRICKS: &[Trick] = &[
    trick(BOTH, &[(1 << 40, 4, WRITE, 0)], &[], RingError::Buffer { address: 1 << 40, len: 4 }),
    trick(BOTH, &[(END - 4, 5, 0, 0)], &[], RingError::Buffer { address: END - 4, len: 5 }),
    trick(BOTH, &[(u64::MAX, 2, WRITE, 0)], &[], RingError::Buffer { address: u64::MAX, len: 2 }),
    trick(BOTH, &[(B, 0, WRITE, 0)], &[], RingError::ZeroLength { address: B }),
    trick(
        BOTH,
        &[(B, 4, WRITE | NEXT, 1), (B, 4, 0, 1)],
        &[],
        RingError::ReadableAfterWritable { address: B },
    ),
    trick(SPLIT, &[(B, 4, NEXT, 0)], &[], RingError::Loop { head: 0, limit: 8 }),
    trick(SPLIT, &[(B, 4, NEXT, SIZE)], &[], RingError::DescriptorIndex { index: 8, limit: 8 }),
    trick(PACKED, &[(B, 4, 0, SIZE)], &[], RingError::BufferId { id: 8, size: 8 }),
    trick(PACKED, &[(B, 4, NEXT, 0); 8], &[], RingError::TooManyInFlight { inuse: 0, offered: 9, size: 8 }),
    trick(BOTH, &[(T, 24, INDIRECT, 0)], &[], RingError::IndirectLength { len: 24 }),
    trick(BOTH, &[(T, 0, INDIRECT, 0)], &[], RingError::IndirectLength { len: 0 }),
    trick(BOTH, &[(END, 16, INDIRECT, 0)], &[], RingError::IndirectTable { address: END, len: 16 }),
    trick(BOTH, &[(T, 16, INDIRECT, 0)], &[(T, 16, INDIRECT, 0)], RingError::IndirectInIndirect),
    trick(BOTH, &[(T, 16, INDIRECT | NEXT, 1)], &[(B, 4, 0, 0)], RingError::IndirectLinked),
    trick(
        SPLIT,
        &[(T, 32, INDIRECT, 0)],
        &[(B, 4, NEXT, 1), (B, 4, NEXT, 0)],
        RingError::Loop { head: 0, limit: 2 },
    ),
    trick(
        PACKED,
        &[(T, 1025 * 16, INDIRECT, 0)],
        &[(B, 4, 0, 0); 1025],
        RingError::TooManyBuffers { limit: 1024 },
    ),
];

/// The device works for its driver, and is broken; nothing else happens, then or later.
fn breaks(victim: &mut Victim, queue: usize, error: &RingError) {
    let what = format!("{} queue {queue}, packed {}", victim.core.device_type().section, victim.is_packed);
    let before = victim.seen();
    victim.work([queue]);
    let expected = format!("queue {queue}: {error}");
    assert_eq!(victim.core.broken(), Some(expected.clone()), "{what}");
    assert!(victim.core.status().has(Status::DEVICE_NEEDS_RESET), "{what}");
    assert_eq!(victim.core.take_interrupts(), [Interrupt::Config], "{what}");
    assert!(victim.seen() == before, "{what}: memory has changed");
    for other in 0..victim.core.queues().len() {
        victim.offer(other, &[(B, 64, WRITE, 0)]);
    }
    let before = victim.seen();
    victim.work(0..victim.core.queues().len());
    assert_eq!((victim.core.take_interrupts(), victim.core.broken()), (vec![], Some(expected)), "{what}");
    assert!(victim.seen() == before, "{what}: it works on");
    victim.set_up(Features(u128::MAX));
    assert_eq!((victim.core.broken(), victim.core.status().has(Status::DEVICE_NEEDS_RESET)), (None, false));
}

/// Every device that runs, with every queue that it takes something from.
fn each(is_packed: bool, mut test: impl FnMut(&mut Victim, usize)) {
    for kind in KINDS {
        let mut victim = Victim::new(kind, is_packed);
        for queue in (0..victim.core.queues().len()).filter(|queue| !kind.quiet.contains(queue)) {
            test(&mut victim, queue);
        }
    }
}

#[test]
fn a_ring_that_makes_no_sense_breaks_its_device_alone() {
    for is_packed in [false, true] {
        each(is_packed, |victim, queue| {
            let here = |trick: &&Trick| if is_packed { trick.layouts.1 } else { trick.layouts.0 };
            for Trick { ring, table, error, .. } in TRICKS.iter().filter(here) {
                victim.put(T, table);
                victim.offer(queue, ring);
                breaks(victim, queue, error);
            }
        });
    }
}

#[test]
fn an_index_that_jumps_breaks_its_device_alone() {
    each(false, |victim, queue| {
        victim.avail(queue, SIZE + 1, 0);
        breaks(victim, queue, &RingError::AvailIndex { avail_idx: SIZE + 1, last_avail_idx: 0, size: SIZE });
        victim.avail(queue, 1, SIZE);
        breaks(victim, queue, &RingError::DescriptorIndex { index: SIZE, limit: SIZE.into() });
    });
}

/// A driver of before virtio 1.0 does not know DEVICE_NEEDS_RESET.
#[test]
fn a_legacy_driver_is_not_told() {
    for kind in KINDS {
        let mut victim = Victim::new(kind, false);
        victim.set_up(Features(u128::from(u32::MAX)));
        let last = victim.core.queues().len() - 1;
        let queue = (0..=last).find(|queue| !kind.quiet.contains(queue)).unwrap();
        victim.avail(queue, SIZE + 1, 0);
        victim.work([queue]);
        assert!(victim.core.broken().is_some());
        assert!(!victim.core.status().has(Status::DEVICE_NEEDS_RESET));
        assert_eq!(victim.core.take_interrupts(), []);
    }
}

/// What a second processor writes into rings and tables while the device reads them: eight bytes at a place.
/// Addresses lie in buffers or outside memory, also if a device sees half of one and half of another.
fn scribble() -> impl Strategy<Value = (u64, u64)> {
    let ring = prop_oneof![0..0xa0_u64, 0x400..0x420_u64, 0x800..0x850_u64];
    let ring = (0..6_u64, ring).prop_map(|(queue, at)| RINGS + 0x1000 * queue + at);
    let at = prop_oneof![3 => ring, 1 => B..B + 0x100, 1 => T..T + 0x100].prop_map(|at| at & !7);
    let address = prop_oneof![4 => B..B + 0x100, 2 => T..T + 0x100, 1 => Just(END - 1), 1 => Just(1 << 40)];
    let half =
        || prop_oneof![0..9_u64, (0..9_u64).prop_map(|it| it | 0x80), any::<u16>().prop_map(u64::from)];
    let last = (0..0x80_u64, half(), half()).prop_map(|(len, a, b)| len | a << 32 | b << 48);
    (at, address, last).prop_map(|(at, address, last)| (at, if at & 8 == 0 { address } else { last }))
}

/// How often a device is broken while its rings change.
const BREAKAGES: u32 = 20;
/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn rings_may_change_while_they_are_read() {
    let mut runner = TestRunner::deterministic();
    let scribbles: Vec<_> =
        (0..20_000).map(|_| scribble().new_tree(&mut runner).unwrap().current()).collect();
    for (kind, is_packed) in KINDS.iter().flat_map(|kind| [(kind, false), (kind, true)]) {
        let mut victim = Victim::new(kind, is_packed);
        let (memory, is_over) = (victim.memory.clone(), AtomicBool::new(false));
        let (mut rounds, mut breakages) = (0_u32, 0_u32);
        thread::scope(|scope| {
            scope.spawn(|| {
                for (at, bytes) in scribbles.iter().cycle() {
                    memory.write_obj(*bytes, GuestAddress(*at)).unwrap();
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
            let start = Instant::now();
            // A busy machine may let the second thread wait.
            while breakages < BREAKAGES && start.elapsed() < PATIENCE {
                victim.work(0..victim.core.queues().len());
                rounds += 1;
                let needs_reset = victim.core.status().has(Status::DEVICE_NEEDS_RESET);
                assert_eq!(victim.core.broken().is_some(), needs_reset);
                if needs_reset {
                    breakages += 1;
                    assert!(victim.private_is_intact(), "{}: memory that it was not given", kind.name);
                    victim.set_up(Features(u128::MAX));
                }
            }
            is_over.store(true, Ordering::Relaxed);
        });
        assert_eq!(breakages, BREAKAGES, "{}, packed {is_packed}: {rounds} rounds", kind.name);
    }
}
