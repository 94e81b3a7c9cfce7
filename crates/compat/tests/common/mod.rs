//! The recorded streams, and streams that a test made of them, decoded.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test file uses its part")]

#[path = "../../../virtio/tests/common/mod.rs"]
mod recorded;

pub(crate) use recorded::{Fixture, bytes, fixture, names};
use virtio::Loaded;
use virtio::guest::{Content, Guest};
use vmstate::Error;
use vmstate::stream::Stream;

/// A stream, decoded.
pub(crate) struct Decoded {
    pub(crate) stream: Stream,
    pub(crate) guest: Guest,
}

/// Decodes a stream, which is there to its end.
pub(crate) fn decode(bytes: &[u8]) -> Decoded {
    let scan = Stream::scan(&bytes, &mut |_| ());
    assert!(scan.stopped.is_none(), "{:?}", scan.stopped);
    let guest = Guest::decode(&scan.stream, &bytes);
    Decoded { stream: scan.stream, guest }
}

impl Decoded {
    /// All devices as they load, rings and findings included.
    pub(crate) fn devices(&self) -> Vec<Loaded> {
        let devices = self.guest.devices(&self.stream);
        devices.filter_map(|(_, device)| device.loaded.as_ref().ok().cloned()).collect()
    }

    /// What was read of each section, in order.
    pub(crate) fn contents(&self) -> impl Iterator<Item = &Result<Content, Error>> {
        self.stream.sections().filter_map(|section| self.guest.content(section))
    }

    /// Checks that each section that can be written again is written as it was.
    pub(crate) fn verify(&self, name: &str) {
        for section in self.stream.sections() {
            let Some(Ok(content)) = self.guest.content(section) else { continue };
            if let Some(anew) = content.save() {
                assert!(section.body() == Some(&anew[..]), "{name}: {} is written otherwise", section.name);
            }
        }
    }
}
