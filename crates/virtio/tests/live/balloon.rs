//! The balloon.

use std::sync::{Arc, Mutex};

use virtio::device::balloon::{BalloonHandle, Ballooned, KeepsAll, LiveBalloon};

use crate::bench::Bench;

/// Notes what is given, and what is taken back.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<(bool, u64)>>>);

impl Ballooned for Notes {
    fn given(&mut self, address: u64, bytes: u64) {
        assert_eq!(bytes, 4096);
        self.0.lock().unwrap().push((true, address));
    }
    fn taken_back(&mut self, address: u64, _: u64) {
        self.0.lock().unwrap().push((false, address));
    }
}

#[test]
fn pages_are_given_and_taken_back() {
    let notes = Notes::default();
    let mut bench = Bench::new(LiveBalloon::new(Box::new(notes.clone()), BalloonHandle::default()));
    let pages = [5_u32.to_le_bytes(), u32::MAX.to_le_bytes()].concat();
    bench.ask(0, &[&pages], &[]);
    bench.ask(1, &[&5_u32.to_le_bytes(), &[1, 2, 3]], &[]);
    let expected = [(true, 5 << 12), (true, u64::from(u32::MAX) << 12), (false, 5 << 12)];
    assert_eq!(*notes.0.lock().unwrap(), expected);
}

#[test]
fn the_target_is_told_and_survives() {
    let handle = BalloonHandle::default();
    let mut bench = Bench::new(LiveBalloon::new(Box::new(KeepsAll), handle.clone()));
    let generation = bench.core.config_generation();
    handle.set_target(1000);
    bench.settle();
    drop(bench.core.take_interrupts());
    assert_ne!(bench.core.config_generation(), generation);
    bench.core.write_config(4, &600_u32.to_le_bytes());
    assert_eq!(handle.actual(), 600);
    let elsewhere = BalloonHandle::default();
    bench.migrate(LiveBalloon::new(Box::new(KeepsAll), elsewhere.clone()));
    let mut config = [0; 8];
    bench.core.read_config(0, &mut config);
    assert_eq!(config, [1000_u32.to_le_bytes(), 600_u32.to_le_bytes()].concat()[..]);
    assert_eq!(elsewhere.actual(), 600);
}

#[test]
fn statistics_are_told_again_where_it_goes_on() {
    let handle = BalloonHandle::default();
    let mut bench = Bench::new(LiveBalloon::new(Box::new(KeepsAll), handle.clone()));
    let stat = [4_u16.to_le_bytes().as_slice(), &77_u64.to_le_bytes()].concat();
    bench.offer(2, &[&stat, &[9]], &[]);
    bench.core.notify(2);
    assert_eq!(handle.statistics(), [(4, 77)]);
    assert_eq!(bench.used(2), None, "the device keeps the buffer");
    let elsewhere = BalloonHandle::default();
    bench.migrate(LiveBalloon::new(Box::new(KeepsAll), elsewhere.clone()));
    assert_eq!(elsewhere.statistics(), [(4, 77)]);
    elsewhere.ask_for_statistics();
    bench.settle();
    assert!(bench.used(2).is_some(), "the driver is to tell again");
}
