//! Guests as large as there are: the memory of an index does not follow theirs, and time follows the number of
//! devices and queues.
//!
//! The streams are made up while they are read. `cargo test --release -p virtio --test scale -- --ignored
//! --nocapture` takes 1 TiB, and prints what it costs.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot be set up fails"
)]

mod common;

use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use common::bytes;
use peak_alloc::PeakAlloc;
use virtio::guest::{Content, Guest};
use virtio::section::save_section;
use vmstate::Writer;
use vmstate::ram;
use vmstate::source::Source;
use vmstate::stream::Stream;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;
/// What one test takes must not be counted in another.
static ALONE: Mutex<()> = Mutex::new(());

const PAGE: u64 = 4096;
const GIB: u64 = 1 << 30;

/// A head, a part that is the same over and over but for page numbers, and a tail.
struct Made {
    head: Vec<u8>,
    /// Bytes of the part in between.
    between: u64,
    /// Fills a buffer with bytes of it, from an offset on.
    fill: fn(u64, &mut [u8]),
    tail: Vec<u8>,
}

impl Source for Made {
    fn len(&self) -> u64 {
        self.head.len() as u64 + self.between + self.tail.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let head = self.head.len() as u64;
        if offset < head {
            return self.head.as_slice().read_at(offset, buf);
        }
        let at = offset - head;
        if at >= self.between {
            return self.tail.as_slice().read_at(at - self.between, buf);
        }
        let count = usize::try_from(self.between - at).unwrap().min(buf.len());
        (self.fill)(at, &mut buf[..count]);
        Ok(count)
    }
}

/// Fills a buffer with records of `each` bytes: two pages in turn, the first of zeros; the second with
/// `content`, or of zeros as well.
fn records(at: u64, buf: &mut [u8], content: bool) {
    let second = if content { 8 + PAGE } else { 9 };
    let (mut pair, mut within) = (at / (9 + second), at % (9 + second));
    let mut rest = buf;
    while !rest.is_empty() {
        // Page 0 is in the head.
        let page = 2 * pair + 1;
        let (zero, other) = ((page * PAGE) | 0x22, ((page + 1) * PAGE) | if content { 0x28 } else { 0x22 });
        let mut heads = [0; 17];
        heads[..8].copy_from_slice(&zero.to_be_bytes());
        heads[9..].copy_from_slice(&other.to_be_bytes());
        let count = usize::try_from(9 + second - within).unwrap().min(rest.len());
        let (part, tail) = rest.split_at_mut(count);
        part.fill(0);
        let from = usize::try_from(within).unwrap().min(heads.len());
        let heads = &heads[from..heads.len().min(from + count)];
        part[..heads.len()].copy_from_slice(heads);
        (rest, pair, within) = (tail, pair + 1, 0);
    }
}

/// Where a stream begins, up to the records of its RAM.
fn start(subsections: &[u8], bytes: u64) -> Vec<u8> {
    let mut head = b"QEVM\0\0\0\x03\x07\0\0\0\x0bpc-q35-10.0".to_vec();
    head.extend(subsections);
    head.extend(b"\x01\0\0\0\x02\x03ram\0\0\0\0\0\0\0\x04");
    head.extend((bytes | 4).to_be_bytes());
    head.extend(b"\x06pc.ram");
    head.extend(bytes.to_be_bytes());
    head
}

const END: &[u8] = b"\0\0\0\0\0\0\0\x10\x7e\0\0\0\x02\x03\0\0\0\x02\0\0\0\0\0\0\0\x10\x7e\0\0\0\x02\0";

/// A guest whose pages come one by one; of every two, one has content, or none has.
fn plain(bytes: u64, content: bool) -> Made {
    let mut head = start(b"", bytes);
    // Page 0, which names the block.
    head.extend(b"\0\0\0\0\0\0\0\x02\x06pc.ram\0");
    let pairs = bytes / PAGE / 2 - 1;
    let pair = if content { 17 + PAGE } else { 18 };
    let fill = if content {
        |at, buf: &mut [u8]| records(at, buf, true)
    } else {
        |at, buf: &mut [u8]| records(at, buf, false)
    };
    Made { head, between: pairs * pair, fill, tail: END.to_vec() }
}

/// A guest in mapped RAM, of whose pages every second is there.
fn mapped(bytes: u64) -> Made {
    let mut head = start(b"\x05\x1aconfiguration/capabilities\0\0\0\x01\0\0\0\x01\x0amapped-ram", bytes);
    let bitmap_bytes = bytes / PAGE / 8;
    head.extend(1_u32.to_be_bytes());
    head.extend(PAGE.to_be_bytes());
    let bitmap = head.len() as u64 + 16;
    head.extend(bitmap.to_be_bytes());
    head.extend((bitmap + bitmap_bytes).to_be_bytes());
    // Pages of RAM are read as the bitmap is: nobody looks at them here.
    Made { head, between: bitmap_bytes + bytes, fill: |_, buf| buf.fill(0x55), tail: END.to_vec() }
}

/// Scans a stream, and checks what was found; returns the memory that took at most, and the time.
fn scan(made: &Made, bytes: u64, with_content: u64) -> (u64, Duration) {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let start = Instant::now();
    let scan = Stream::scan(made, &mut |_| ());
    let took = start.elapsed();
    let peak = (MEMORY.peak_usage() - before) as u64;
    assert!(scan.stopped.is_none(), "{}", scan.stopped.unwrap());
    let ram = scan.stream.ram.unwrap();
    let pages = bytes / PAGE;
    assert_eq!(ram.normal, with_content);
    assert!(pages - (ram.normal + ram.zero) <= 1, "{} pages of {pages}", ram.normal + ram.zero);
    let there = ram.runs(0).filter(|run| run.content != ram::Content::Zero).map(|run| run.count);
    assert_eq!(there.sum::<u64>(), with_content);
    (peak, took)
}

fn show(what: &str, bytes: u64, (peak, took): (u64, Duration)) {
    println!("{} GiB, {what}: {} KiB, {:.2} s", bytes / GIB, peak >> 10, took.as_secs_f64());
}

/// What memory an index may take: a bit for each page, and as much again.
fn bound(bytes: u64) -> u64 {
    (1 << 20) + 2 * (bytes / PAGE / 8)
}

#[test]
fn an_index_takes_bits() {
    let bytes = 8 * GIB;
    let pages = bytes / PAGE;
    let found = scan(&plain(bytes, false), bytes, 0);
    show("zeros", bytes, found);
    assert!(found.0 < 1 << 20, "{} bytes for one run", found.0);
    let found = scan(&mapped(bytes), bytes, pages / 2);
    show("mapped, every second page", bytes, found);
    assert!(found.0 < bound(bytes), "{} bytes", found.0);
    let bytes = 2 * GIB;
    let found = scan(&plain(bytes, true), bytes, bytes / PAGE / 2 - 1);
    show("every second page", bytes, found);
    assert!(found.0 < bound(bytes), "{} bytes", found.0);
}

#[test]
#[ignore = "walks through 1 TiB: run it with --release"]
fn an_index_of_a_tebibyte_takes_bits() {
    let bytes = 1024 * GIB;
    let found = scan(&mapped(bytes), bytes, bytes / PAGE / 2);
    show("mapped, every second page", bytes, found);
    assert!(found.0 < bound(bytes), "{} bytes", found.0);
    let found = scan(&plain(bytes, false), bytes, 0);
    show("zeros", bytes, found);
    assert!(found.0 < 1 << 20, "{} bytes for one run", found.0);
    // Half of it is read through.
    let bytes = 64 * GIB;
    let found = scan(&plain(bytes, true), bytes, bytes / PAGE / 2 - 1);
    show("every second page", bytes, found);
    assert!(found.0 < bound(bytes), "{} bytes", found.0);
}

/// A recorded guest's network device as often as asked for, each with 128 queue pairs.
fn many(devices: usize) -> Vec<u8> {
    let recorded = bytes("x86-q35-kitchen-q10.0");
    let stream = Stream::scan(&recorded, &mut |_| ()).stream;
    let guest = Guest::decode(&stream, &recorded);
    let section = stream.sections().find(|section| section.name.ends_with("/virtio-net")).unwrap();
    let Some(Ok(Content::Device(device))) = guest.content(section) else { panic!("no network device") };
    let mut state = device.loaded.as_ref().unwrap().state.clone();
    let queue = state.core.queues.first().cloned().unwrap();
    state.core.queues.resize(257, queue);
    let mut body = Writer::new();
    save_section(&state, &mut body);
    let body = body.into_bytes();
    let ram_end = stream.sections().filter(|section| section.is_ram()).last().unwrap();
    let ram_end = ram_end.body_offset + ram_end.body_bytes + 5;
    let mut made = recorded[..usize::try_from(ram_end).unwrap()].to_vec();
    for device in 0..devices {
        let name = format!("0000:{:02x}:{:02x}.0/virtio-net", device / 32, device % 32);
        made.extend([&[4], &(1000 + u32::try_from(device).unwrap()).to_be_bytes()[..]].concat());
        made.extend([&[u8::try_from(name.len()).unwrap()], name.as_bytes(), &[0; 4]].concat());
        made.extend(section.version.to_be_bytes());
        made.extend([&body[..], b"\x7e", &(1000 + u32::try_from(device).unwrap()).to_be_bytes()].concat());
    }
    made.push(0);
    made
}

#[test]
fn time_follows_the_number_of_devices() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // The shortest of some: others use the machine too.
    let time = |devices: usize| -> Duration {
        let made = many(devices);
        let once = |_| {
            let start = Instant::now();
            let stream = Stream::scan(&made, &mut |_| ()).stream;
            let guest = Guest::decode(&stream, &made);
            let loaded = guest.devices(&stream).filter(|(_, device)| device.loaded.is_ok()).count();
            assert_eq!(loaded, devices);
            start.elapsed()
        };
        (0..3).map(once).min().unwrap()
    };
    let (few, all) = (time(8), time(64));
    println!("8 devices with 257 queues: {few:?}; 64: {all:?}");
    assert!(all < few * 8 * 3, "8 devices take {few:?}, 64 take {all:?}");
}
