//! Scanning a stream with 1 GiB of RAM, against reading its file through; and the RAM of a guest that has
//! not touched its memory.
//!
//! `cargo bench -p vmstate --bench scan` makes the stream once, at `target/scan-1GiB.mig`.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run has to stop")]

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use vmstate::source::FileSource;
use vmstate::stream::{Scan, Stream};

const PAGE: usize = 4096;
const PAGES: u64 = 262_144;
/// Pages of one section; QEMU sends as many as it can in 50 ms.
const PAGES_AT_ONCE: u64 = 8192;

fn main() {
    make().unwrap();
    divan::main();
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/scan-1GiB.mig")
}

/// The record that ends a RAM section, and the footer.
const END_OF_SECTION: &[u8] = b"\0\0\0\0\0\0\0\x10\x7e\0\0\0\x02";

/// All before the pages: a guest with one block.
fn start() -> Vec<u8> {
    let bytes = PAGES * PAGE as u64;
    [
        &b"QEVM\0\0\0\x03\x07\0\0\0\x0bpc-q35-10.0\x01\0\0\0\x02\x03ram\0\0\0\0\0\0\0\x04"[..],
        &(bytes | 4).to_be_bytes(),
        b"\x06pc.ram",
        &bytes.to_be_bytes(),
        END_OF_SECTION,
    ]
    .concat()
}

/// All behind the pages.
fn end() -> Vec<u8> {
    let json = br#"{"page_size": 4096, "devices": []}"#;
    let length = u32::try_from(json.len()).unwrap_or_default().to_be_bytes();
    [b"\x03\0\0\0\x02", END_OF_SECTION, b"\0\x06", &length, json].concat()
}

/// A stream whose pages are all zero.
fn zeros() -> Vec<u8> {
    let mut bytes = start();
    bytes.extend(b"\x02\0\0\0\x02\0\0\0\0\0\0\0\x02\x06pc.ram\0");
    for page in 1..PAGES {
        bytes.extend(((page * PAGE as u64) | 0x22).to_be_bytes());
        bytes.push(0);
    }
    [bytes, END_OF_SECTION.to_vec(), end()].concat()
}

/// Random bytes (xorshift64*): what a file system cannot shorten.
struct Random(u64);

impl Random {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_exact_mut(8) {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            chunk.copy_from_slice(&self.0.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
        }
    }
}

/// Makes the stream, as a live migration of a guest of one block writes it.
fn make() -> io::Result<()> {
    if path().exists() {
        return Ok(());
    }
    let unfinished = path().with_extension("unfinished");
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&unfinished)?);
    out.write_all(&start())?;
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut page = [0; PAGE];
    for number in 0..PAGES {
        if number % PAGES_AT_ONCE == 0 {
            out.write_all(b"\x02\0\0\0\x02")?;
        }
        let address = number * PAGE as u64;
        if number == 0 {
            out.write_all(&(address | 0x08).to_be_bytes())?;
            out.write_all(b"\x06pc.ram")?;
        } else {
            out.write_all(&(address | 0x28).to_be_bytes())?;
        }
        random.fill(&mut page);
        out.write_all(&page)?;
        if (number + 1) % PAGES_AT_ONCE == 0 {
            out.write_all(END_OF_SECTION)?;
        }
    }
    out.write_all(&end())?;
    out.into_inner()?.sync_all()?;
    fs::rename(unfinished, path())
}

/// What `cat` does.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn read_through(bencher: Bencher<'_, '_>) {
    let bytes = fs::metadata(path()).unwrap().len();
    let mut buffer = vec![0; 128 << 10];
    bencher.counter(BytesCount::new(bytes)).bench_local(|| {
        let mut file = File::open(path()).unwrap();
        while file.read(black_box(&mut buffer)).unwrap() > 0 {}
    });
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn scan(bencher: Bencher<'_, '_>) {
    let source = FileSource::new(File::open(path()).unwrap()).unwrap();
    let bytes = fs::metadata(path()).unwrap().len();
    bencher.counter(BytesCount::new(bytes)).bench_local(|| {
        let Scan { stream, stopped } = Stream::scan(black_box(&source), &mut |_| ());
        assert!(stopped.is_none() && stream.ram.is_some_and(|ram| ram.normal == PAGES));
    });
}

#[divan::bench]
fn copy_zero_pages(bencher: Bencher<'_, '_>) {
    let bytes = zeros();
    bencher.counter(BytesCount::new(bytes.len())).bench_local(|| black_box(&bytes).clone());
}

#[divan::bench]
fn scan_zero_pages(bencher: Bencher<'_, '_>) {
    let bytes = zeros();
    bencher.counter(BytesCount::new(bytes.len())).bench_local(|| {
        let Scan { stream, stopped } = Stream::scan(black_box(&bytes), &mut |_| ());
        assert!(stopped.is_none() && stream.ram.is_some_and(|ram| ram.zero == PAGES));
    });
}
