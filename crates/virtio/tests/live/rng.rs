//! The entropy device.

use virtio::device::rng::LiveRng;

use crate::bench::Bench;

/// A source that counts.
struct Counting(u8);

impl std::io::Read for Counting {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        for byte in &mut *buf {
            *byte = self.0;
            self.0 = self.0.wrapping_add(1);
        }
        Ok(buf.len())
    }
}

#[test]
fn fills_buffers_from_its_source() {
    let mut bench = Bench::new(LiveRng::new(Counting(7)));
    let used = bench.ask(0, &[], &[2, 3]);
    assert_eq!((used.written, used.data), (5, vec![7, 8, 9, 10, 11]));
}

#[test]
fn goes_on_after_a_migration() {
    let mut bench = Bench::new(LiveRng::new(Counting(0)));
    bench.offer(0, &[], &[4]);
    // Nobody has notified the device: after a migration every queue is looked at.
    bench.migrate(LiveRng::new(Counting(100)));
    assert_eq!(bench.used(0).unwrap().data, [100, 101, 102, 103]);
}

#[test]
fn a_chain_without_room_comes_back_empty() {
    let mut bench = Bench::new(LiveRng::new(Counting(0)));
    bench.offer(0, &[b"what is this"], &[]);
    bench.core.notify(0);
    assert_eq!(bench.used(0).map(|used| used.written), Some(0));
}
