//! What of vmig reads bytes that others wrote, as functions of bytes: one list, [`TARGETS`].
//!
//! `cargo xtask fuzz` gives them bytes that libFuzzer makes, guided by the code that they reach. `cargo test -p fuzz`
//! gives them the corpora in the tree and the seeds, on any machine.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a panic is how a target says that something is wrong"
)]

#[path = "../../crates/virtio/tests/live/devices.rs"]
mod devices;
mod seed;
mod target;
#[path = "../../crates/virtio/tests/live/victim.rs"]
mod victim;

use target::{container, live, ring, section, stream};

/// Something that reads bytes.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// Reads the bytes. It panics if they break a promise.
    pub run: fn(&[u8]),
    /// Bytes of the longest input.
    pub longest: usize,
    /// Inputs that are right, to begin with: from recorded streams.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every target. To add one, add a line.
#[rustfmt::skip]
pub const TARGETS: &[Target] = &[
    Target { name: "stream",       run: stream::whole,       longest: 1 << 16, seeds: seed::streams },
    Target { name: "ram",          run: stream::ram,         longest: 1 << 13, seeds: seed::ram },
    Target { name: "description",  run: stream::description, longest: 1 << 13, seeds: seed::descriptions },
    Target { name: "value",        run: stream::value,       longest: 1 << 13, seeds: seed::values },
    Target { name: "pci",          run: section::pci,        longest: 1 << 16, seeds: seed::pci },
    Target { name: "mmio",         run: section::mmio,       longest: 1 << 13, seeds: seed::mmio },
    Target { name: "ccw",          run: section::ccw,        longest: 1 << 13, seeds: seed::ccw },
    Target { name: "companion",    run: section::companion,  longest: 1 << 13, seeds: seed::companions },
    Target { name: "container",    run: container::open,     longest: 1 << 14, seeds: seed::containers },
    Target { name: "incoming",     run: live::incoming,      longest: 1 << 16, seeds: seed::streams },
    Target { name: "return-path",  run: live::return_path,   longest: 1 << 12, seeds: seed::return_path },
    Target { name: "multifd",      run: live::multifd,       longest: 1 << 12, seeds: seed::multifd },
    Target { name: "ring-split",   run: ring::split,         longest: 1 << 10, seeds: seed::rings },
    Target { name: "ring-packed",  run: ring::packed,        longest: 1 << 10, seeds: seed::rings },
];

impl Target {
    /// The target of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }
}
