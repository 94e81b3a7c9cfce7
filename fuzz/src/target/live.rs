//! What the peer of a live migration says.

use migration::count::Counter;
use migration::event::Event;
use migration::incoming::{Incoming, Sink, Terms};
use migration::multifd::{Initial, Packet};
use migration::ram::{Nowhere, RamSink};
use migration::return_path::Message;

/// Takes everything, and keeps nothing.
struct Drain;

impl Sink for Drain {
    fn ram(&self) -> &dyn RamSink {
        &Nowhere
    }
}

/// A stream as it arrives.
pub(crate) fn incoming(bytes: &[u8]) {
    let (counter, observer) = (Counter::default(), |_: Event| ());
    let terms = Terms { unacknowledged: true, held: Some(1 << 20) };
    let _ = Incoming::new(bytes, terms, &counter, &observer).run(&mut Drain);
}

/// Messages of a destination: what is read is written as the same bytes.
pub(crate) fn return_path(mut bytes: &[u8]) {
    loop {
        let before = bytes;
        let Ok(Some(message)) = Message::read(&mut bytes) else { return };
        let mut out = Vec::new();
        message.write(&mut out).unwrap();
        assert_eq!(out, before[..before.len() - bytes.len()]);
    }
}

/// The head of a packet with pages: what is read is written so that it is read as the same.
pub(crate) fn multifd(bytes: &[u8]) {
    let _ = Initial::read(&mut &bytes[..]);
    for page_size in [1 << 12, 1 << 16] {
        if let Ok(packet) = Packet::load(bytes, page_size) {
            assert_eq!(Packet::load(&packet.save(page_size), page_size), Ok(packet));
        }
    }
}
