//! One section of a network device: loading and saving it, against copying its bytes.
//!
//! `cargo bench -p virtio --bench section`
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run has to stop")]

#[path = "../tests/common/mod.rs"]
mod common;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use virtio::Loaded;
use virtio::core::Subsections;
use virtio::memory::{DeviceMemory, MemoryError, RingMemory};
use virtio::section::{SectionName, default_endianness, load_section, load_unknown_section, save_section};
use virtio::shape::Shape;
use vmstate::stream::Stream;
use vmstate::{Reader, Writer};

fn main() {
    divan::main();
}

/// Memory that is not there: what is measured is the section.
struct NoMemory;

impl RingMemory for NoMemory {
    fn read(&self, address: u64, _: &mut [u8]) -> Result<(), MemoryError> {
        Err(MemoryError::Unmapped { address })
    }
}

/// A section's body, and as what it is read.
struct Sample {
    body: Vec<u8>,
    version: u32,
    shape: Shape,
}

impl Sample {
    /// The network device of a recorded stream.
    fn recorded() -> Self {
        let bytes = common::bytes("x86-q35-kitchen-q10.0");
        let stream = Stream::scan(&bytes, &mut |_| ()).stream;
        let section = stream.sections().find(|section| section.name.ends_with("/virtio-net")).unwrap();
        let name = SectionName::parse(&section.name).unwrap();
        let machine = stream.configuration.as_ref().unwrap().machine();
        let shape = Shape::unknown(name.device, name.transport, default_endianness(&machine));
        let body = section.body().unwrap().to_vec();
        let memory = DeviceMemory::direct(&NoMemory);
        let (shape, _) =
            load_unknown_section(shape, section.version, &memory, &Reader::new(&body, 0)).unwrap();
        Self { body, version: section.version, shape }
    }

    /// The same with so many queue pairs, and without the subsections: their arrays are as long for any
    /// number of queues.
    fn with_pairs(pairs: usize) -> Self {
        let sample = Self::recorded();
        let mut state = sample.load().state;
        let queue = state.core.queues.first().cloned().unwrap();
        state.core.queues.resize(2 * pairs + 1, queue);
        state.core.subsections = Subsections::default();
        let mut out = Writer::new();
        save_section(&state, &mut out);
        Self { body: out.into_bytes(), ..sample }
    }

    fn load(&self) -> Loaded {
        let memory = DeviceMemory::direct(&NoMemory);
        load_section(&self.shape, self.version, &memory, &Reader::new(&self.body, 0)).unwrap()
    }
}

#[divan::bench]
fn copy(bencher: Bencher<'_, '_>) {
    let sample = Sample::recorded();
    bencher.counter(BytesCount::new(sample.body.len())).bench(|| black_box(&sample.body).clone());
}

#[divan::bench]
fn load(bencher: Bencher<'_, '_>) {
    let sample = Sample::recorded();
    bencher.counter(BytesCount::new(sample.body.len())).bench(|| black_box(&sample).load());
}

#[divan::bench]
fn save(bencher: Bencher<'_, '_>) {
    let sample = Sample::recorded();
    let state = sample.load().state;
    bencher.counter(BytesCount::new(sample.body.len())).bench(|| {
        let mut out = Writer::new();
        save_section(black_box(&state), &mut out);
        out
    });
}

/// The cost follows the bytes, not their square.
#[divan::bench(args = [1, 2, 4, 8, 64, 511])]
fn load_pairs(bencher: Bencher<'_, '_>, pairs: usize) {
    let sample = Sample::with_pairs(pairs);
    bencher.counter(BytesCount::new(sample.body.len())).bench(|| black_box(&sample).load());
}
