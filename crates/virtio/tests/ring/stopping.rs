//! What stops, what does not, and what becomes of requests in flight.

use virtio::ring::{Chain, RingError, RunningQueue};
use virtio::shape::Switches;

use super::driver::{BUFFERS, Config, Driver, Memory, memory};
use super::saved::{shape, through_bytes};

const CONFIG: Config =
    Config { size: 8, packed: false, event_idx: false, indirect: false, in_order: false, big_endian: false };

/// A queue with `taken` of four requests taken.
fn queue(config: Config, taken: usize) -> (Memory, Driver, RunningQueue, Vec<Chain>) {
    let memory = memory();
    let mut driver = Driver::new(&memory, config);
    for index in 0..4 {
        let at = BUFFERS + 64 * index;
        driver.add(&memory, |_| vec![(at + 32, 16, false), (at, 16, true)], 2).unwrap();
    }
    let mut queue =
        RunningQueue::start(&driver.state(), &memory, config.features(), config.endianness()).unwrap();
    let mut attached = queue.attach(&memory).unwrap();
    let chains = (0..taken).map(|_| attached.pop().unwrap().unwrap()).collect();
    (memory, driver, queue, chains)
}

#[test]
fn a_queue_does_not_stop_without_its_chains() {
    for packed in [false, true] {
        let (memory, _, queue, mut chains) = queue(Config { packed, ..CONFIG }, 3);
        let missing = chains.pop().unwrap();
        let mut refused = queue.stop(&memory, chains, Switches::default()).unwrap_err();
        let each = if packed { 2 } else { 1 };
        assert_eq!(
            refused.to_string(),
            format!(
                "chains of {} entries were taken and not returned, but those handed over have {}",
                3 * each,
                2 * each
            )
        );
        refused.queue.attach(&memory).unwrap().push(missing, 16).unwrap();
        let stopped = refused.queue.stop(&memory, refused.chains, Switches::default()).unwrap();
        assert_eq!(stopped.elements.len(), 2);
        assert_eq!(
            (u32::from(stopped.state.queue.last_avail_idx), stopped.state.packed.inuse),
            (3 * each, 2 * each)
        );
        assert!(stopped.needs_notification, "the driver has not been told of what was returned");
    }
}

#[test]
fn what_is_not_carried_is_taken_again() {
    for (packed, in_order) in [(false, false), (true, false), (false, true), (true, true)] {
        let config = Config { packed, in_order, ..CONFIG };
        let (memory, _, queue, chains) = queue(config, 3);
        let addresses: Vec<_> = chains.iter().map(|chain| chain.writable()[0].addr).collect();
        let mut stopped = queue.stop(&memory, chains, shape().switches).unwrap();
        stopped.elements.clear();
        let (loaded, state, _) = through_bytes(config, &memory, stopped);
        let mut queue = RunningQueue::start(&state, &memory, loaded.features, loaded.endianness).unwrap();
        let all = if packed { 6 } else { 3 };
        assert_eq!(queue.unclaimed(), all);
        assert!(!queue.rewind(all + 1) && queue.rewind(all) && !queue.rewind(1));
        let mut attached = queue.attach(&memory).unwrap();
        for address in addresses {
            assert_eq!(attached.pop().unwrap().unwrap().writable()[0].addr, address);
        }
    }
}

#[test]
fn what_waits_for_its_turn_is_in_flight() {
    let config = Config { in_order: true, ..CONFIG };
    let (memory, mut driver, mut queue, mut chains) = queue(config, 3);
    queue.attach(&memory).unwrap().push(chains.remove(1), 16).unwrap();
    assert!(!driver.has_used(&memory), "the second waits for the first");
    let stopped = queue.stop(&memory, chains, shape().switches).unwrap();
    let addresses: Vec<_> = stopped.elements.iter().map(|element| element.in_sg[0].addr).collect();
    assert_eq!(addresses, [BUFFERS, BUFFERS + 64, BUFFERS + 128]);
    let (loaded, state, elements) = through_bytes(config, &memory, stopped);
    let mut queue = RunningQueue::start(&state, &memory, loaded.features, loaded.endianness).unwrap();
    // QEMU turns the list around with each load: the order of the ring is kept nevertheless.
    let chains: Vec<_> =
        elements.iter().rev().map(|element| queue.resume(&memory, element).unwrap()).collect();
    let ids: Vec<_> = chains.iter().map(Chain::index).collect();
    for chain in chains {
        queue.attach(&memory).unwrap().push(chain, 16).unwrap();
    }
    let returned: Vec<_> = std::iter::from_fn(|| driver.take(&memory)).map(|(id, _)| id).collect();
    assert_eq!(returned, [ids[2], ids[1], ids[0]]);
}

#[test]
fn an_element_that_cannot_be_one_of_the_queue_is_refused() {
    let (memory, _, queue, chains) = queue(CONFIG, 1);
    let stopped = queue.stop(&memory, chains, shape().switches).unwrap();
    let (loaded, state, elements) = through_bytes(CONFIG, &memory, stopped);
    let mut queue = RunningQueue::start(&state, &memory, loaded.features, loaded.endianness).unwrap();
    let mut element = elements[0].clone();
    element.index = 8;
    assert_eq!(queue.resume(&memory, &element).unwrap_err(), RingError::BufferId { id: 8, size: 8 });
    element.index = elements[0].index;
    element.in_sg[0].addr = 1 << 50;
    assert_eq!(queue.resume(&memory, &element).unwrap_err(), RingError::Buffer { address: 1 << 50, len: 16 });
    let chain = queue.resume(&memory, &elements[0]).unwrap();
    let expected = RingError::NotInFlight { ndescs: 1, unclaimed: 0 };
    assert_eq!(queue.resume(&memory, &elements[0]).unwrap_err(), expected);
    queue.attach(&memory).unwrap().push(chain, 16).unwrap();
    assert_eq!(queue.inuse(), 0);
}
