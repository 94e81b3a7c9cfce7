//! The block device.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use virtio::core::Features;
use virtio::device::blk::{BlkOptions, ErrorPolicy, LiveBlk};
use virtio::device::disk::MemoryDisk;

use crate::bench::{Bench, Failing};

const OK: u8 = 0;
const IOERR: u8 = 1;
const UNSUPP: u8 = 2;

fn header(kind: u32, sector: u64) -> Vec<u8> {
    [kind.to_le_bytes().as_slice(), &[0; 4], &sector.to_le_bytes()].concat()
}

fn write(bench: &mut Bench, sector: u64, data: &[u8]) -> u8 {
    bench.ask(0, &[&header(1, sector), data], &[1]).data[0]
}

fn read(bench: &mut Bench, sector: u64, length: u32) -> (u8, Vec<u8>) {
    let used = bench.ask(0, &[&header(0, sector)], &[length, 1]);
    let (data, status) = used.data.split_at(length as usize);
    assert_eq!(used.written, if status[0] == OK { length + 1 } else { 1 });
    (status[0], data.to_vec())
}

fn bench() -> Bench {
    Bench::new(LiveBlk::new(Box::new(MemoryDisk::new(64)), BlkOptions::default()))
}

#[test]
fn reads_what_was_written() {
    let mut bench = bench();
    assert_eq!(write(&mut bench, 3, &[7; 1024]), OK);
    let (status, data) = read(&mut bench, 2, 2048);
    assert_eq!(status, OK);
    assert_eq!(data, [vec![0; 512], vec![7; 1024], vec![0; 512]].concat());
    assert_eq!(bench.ask(0, &[&header(4, 0)], &[1]).data, [OK]);
}

#[test]
fn the_driver_is_told_of_what_cannot_be() {
    let mut bench = bench();
    assert_eq!(write(&mut bench, 64, &[0; 512]), IOERR, "behind the end");
    assert_eq!(write(&mut bench, u64::MAX, &[0; 512]), IOERR, "behind all ends");
    assert_eq!(write(&mut bench, 0, &[0; 100]), IOERR, "no whole sector");
    assert_eq!(bench.ask(0, &[&header(99, 0)], &[1]).data, [UNSUPP]);
    assert_eq!(bench.core.broken(), None);
}

#[test]
fn discards_and_writes_zeroes() {
    let mut bench = bench();
    write(&mut bench, 0, &[9; 2048]);
    let segment = |sector: u64, sectors: u32, flags: u32| {
        [sector.to_le_bytes().as_slice(), &sectors.to_le_bytes(), &flags.to_le_bytes()].concat()
    };
    assert_eq!(bench.ask(0, &[&header(13, 0), &segment(1, 1, 1)], &[1]).data, [OK]);
    assert_eq!(read(&mut bench, 0, 1536).1, [vec![9; 512], vec![0; 512], vec![9; 512]].concat());
    assert_eq!(bench.ask(0, &[&header(11, 0), &segment(1, 1, 2)], &[1]).data, [UNSUPP]);
    assert_eq!(bench.ask(0, &[&header(11, 0), &segment(60, 5, 0)], &[1]).data, [IOERR]);
    assert_eq!(bench.ask(0, &[&header(11, 0), &[0; 15]], &[1]).data, [IOERR]);
}

#[test]
fn says_what_it_is_called() {
    let options = BlkOptions { serial: "disk-0".to_owned(), ..BlkOptions::default() };
    let mut bench = Bench::new(LiveBlk::new(Box::new(MemoryDisk::new(64)), options));
    assert_eq!(bench.ask(0, &[&header(8, 0)], &[20, 1]).data[..8], *b"disk-0\0\0");
    let mut config = [0; 8];
    bench.core.read_config(0, &mut config);
    assert_eq!(u64::from_le_bytes(config), 64);
}

#[test]
fn a_chain_that_is_no_request_breaks_it() {
    for (out, writable) in [(vec![0; 15], vec![1]), (header(0, 0), vec![])] {
        let mut bench = bench();
        bench.offer(0, &[&out], &writable);
        bench.core.notify(0);
        assert!(bench.core.broken().unwrap().contains("without room for its header"));
        bench.migrate(LiveBlk::new(Box::new(MemoryDisk::new(64)), BlkOptions::default()));
        assert_eq!(bench.core.broken().unwrap(), "it arrived so");
    }
}

/// Several queues, and one request served at a time: some are in flight when the device stops.
#[test]
fn what_is_in_flight_is_carried() {
    let disk = MemoryDisk::new(64);
    let options = BlkOptions { queues: 3, at_once: 1, ..BlkOptions::default() };
    let device = || LiveBlk::new(Box::new(disk.clone()), options.clone());
    let mut bench = Bench::new(device());
    let heads: Vec<_> = [0_u8, 2, 2, 1]
        .map(|queue| {
            let data = [queue + 1; 512];
            let sector = u64::from(queue) * 4;
            (usize::from(queue), bench.offer(queue.into(), &[&header(1, sector), &data], &[1]))
        })
        .into();
    bench.core.notify(2);
    bench.core.notify(0);
    assert!(bench.used(2).is_some(), "the first was served");
    bench.migrate(device());
    for (queue, head) in [heads[2], heads[0], heads[3]] {
        let used = bench.used(queue).unwrap();
        assert_eq!((used.head, used.data), (head, vec![OK]));
    }
    assert_eq!(bench.used(2), None);
}

#[test]
fn a_request_waits_for_a_full_disk_and_is_done_on_another_host() {
    let (disk, full) = (MemoryDisk::new(64), Arc::new(AtomicBool::new(true)));
    let options = BlkOptions { on_error: ErrorPolicy::Stop, ..BlkOptions::default() };
    let device = || LiveBlk::new(Box::new(Failing(disk.clone(), Arc::clone(&full))), options.clone());
    let mut bench = Bench::new(device());
    bench.offer(0, &[&header(1, 5), &[3; 512]], &[1]);
    bench.core.notify(0);
    bench.settle();
    assert_eq!(bench.used(0), None);
    full.store(false, Ordering::Relaxed);
    bench.migrate(device());
    assert_eq!(bench.used(0).unwrap().data, [OK]);
    assert_eq!(read(&mut bench, 5, 512).1, [3; 512]);

    full.store(true, Ordering::Relaxed);
    let mut reporting = Bench::new(LiveBlk::new(Box::new(Failing(disk, full)), BlkOptions::default()));
    assert_eq!(write(&mut reporting, 0, &[1; 512]), IOERR);
}

#[test]
fn a_read_only_disk_takes_nothing() {
    let dir = tempfile::NamedTempFile::new().unwrap();
    dir.as_file().set_len(8192).unwrap();
    let disk = virtio::device::disk::FileDisk::new(dir.reopen().unwrap(), true).unwrap();
    let mut bench = Bench::with(LiveBlk::new(Box::new(disk), BlkOptions::default()), Features(1 << 5));
    assert_eq!(write(&mut bench, 0, &[1; 512]), IOERR);
    assert_eq!(read(&mut bench, 15, 512), (OK, vec![0; 512]));
}
