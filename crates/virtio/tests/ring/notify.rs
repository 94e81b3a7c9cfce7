//! When the driver is told of what came back.

use virtio::core::Features;
use virtio::ring::RunningQueue;

use super::driver::{BUFFERS, Config, Driver, Memory, memory};

const CONFIG: Config =
    Config { size: 8, packed: false, event_idx: true, indirect: false, in_order: false, big_endian: false };

/// A queue of four requests, and what it says to `wish` after each of them is returned.
fn told(config: Config, extra: u128, wish: impl FnOnce(&Driver, &Memory)) -> Vec<bool> {
    let memory = memory();
    let mut driver = Driver::new(&memory, config);
    for index in 0..4 {
        driver.add(&memory, |_| vec![(BUFFERS + 64 * index, 16, true)], 1).unwrap();
    }
    wish(&driver, &memory);
    let features = Features(config.features().0 | extra);
    let mut queue = RunningQueue::start(&driver.state(), &memory, features, config.endianness()).unwrap();
    let mut queue = queue.attach(&memory).unwrap();
    assert!(!queue.needs_notification().unwrap(), "nothing came back");
    let mut told = Vec::new();
    while let Some(chain) = queue.pop().unwrap() {
        queue.push(chain, 16).unwrap();
        told.push(queue.needs_notification().unwrap());
    }
    told
}

#[test]
fn the_driver_is_told_at_the_entry_it_asked_for() {
    // A device that has just started does not know what its driver was told: the first is always told of.
    let split = told(CONFIG, 0, |driver, memory| driver.put16(memory, driver.avail + 4 + 2 * 8, 2));
    assert_eq!(split, [true, false, true, false]);
    let packed = Config { packed: true, ..CONFIG };
    let at_descriptor = |place: u16| {
        told(packed, 0, |driver, memory| {
            driver.put16(memory, driver.avail, place);
            driver.put16(memory, driver.avail + 2, 2);
        })
    };
    assert_eq!(at_descriptor(1 << 15 | 2), [true, false, true, false]);
    assert_eq!(at_descriptor(2), [true, false, false, false], "of the next turn");
    assert_eq!(at_descriptor(1 << 15 | 100), [true, false, false, false], "of no turn");
}

#[test]
fn the_driver_is_told_of_all_or_of_none() {
    for packed in [false, true] {
        let config = Config { event_idx: false, packed, ..CONFIG };
        let flags = |driver: &Driver| driver.avail + if packed { 2 } else { 0 };
        assert_eq!(told(config, 0, |_, _| ()), [true; 4]);
        assert_eq!(told(config, 0, |driver, memory| driver.put16(memory, flags(driver), 1)), [false; 4]);
    }
}

#[test]
fn an_empty_queue_is_told_of_if_that_was_negotiated() {
    let config = Config { event_idx: false, ..CONFIG };
    let wish = |driver: &Driver, memory: &Memory| driver.put16(memory, driver.avail, 1);
    assert_eq!(told(config, 1 << Features::NOTIFY_ON_EMPTY, wish), [false, false, false, true]);
}
