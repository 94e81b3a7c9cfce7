//! The recorded streams, and what QEMU said of them.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part, and may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use virtio::guest::Guest;
use vmstate::Error;
use vmstate::source::Source;
use vmstate::stream::Stream;

/// What QEMU said of a stopped machine, recorded beside its stream.
#[derive(Debug, Deserialize)]
pub(crate) struct Truth {
    /// The version of QEMU.
    pub(crate) qemu: String,
    /// The queues of each device that QEMU was asked for, by section name.
    pub(crate) queues: BTreeMap<String, Vec<TrueQueue>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TrueQueue {
    pub(crate) index: usize,
    pub(crate) size: u32,
    pub(crate) size_default: u32,
    pub(crate) desc: String,
    pub(crate) avail: String,
    pub(crate) used: String,
    pub(crate) last_avail_idx: u16,
    pub(crate) used_idx: Option<u16>,
    pub(crate) inuse: Option<u32>,
}

/// A recorded stream, decoded.
pub(crate) struct Fixture {
    pub(crate) name: String,
    pub(crate) source: Box<dyn Source>,
    pub(crate) stream: Stream,
    pub(crate) stopped: Option<Error>,
    pub(crate) guest: Guest,
    pub(crate) truth: Truth,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// The names of all recorded streams.
pub(crate) fn names() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| Some(entry.unwrap().file_name().to_str()?.strip_suffix(".mig.zst")?.to_owned()))
        .collect();
    names.sort();
    assert!(names.len() > 50, "only {} recorded streams in {}", names.len(), folder().display());
    names
}

/// A recorded stream's bytes.
pub(crate) fn bytes(name: &str) -> Vec<u8> {
    let file = folder().join(format!("{name}.mig.zst"));
    let image = image::open(file.to_str().unwrap(), &mut |_| ()).unwrap();
    let length = usize::try_from(image.source.len()).unwrap();
    let mut bytes = vec![0; length];
    image.source.read_exact_at(0, &mut bytes).unwrap();
    bytes
}

/// A recorded stream, decoded.
pub(crate) fn fixture(name: &str) -> Fixture {
    let source: Box<dyn Source> = Box::new(bytes(name));
    let scan = Stream::scan(source.as_ref(), &mut |_| ());
    let guest = Guest::decode(&scan.stream, source.as_ref());
    let truth = fs::read(folder().join(format!("{name}.json"))).unwrap();
    let truth = serde_json::from_slice(&truth).unwrap();
    Fixture { name: name.to_owned(), source, stream: scan.stream, stopped: scan.stopped, guest, truth }
}
