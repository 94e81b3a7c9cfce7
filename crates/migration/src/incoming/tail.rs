//! The end of a stream: device state and description, kept until all of it is there.

use std::io::Read;
use std::time::Instant;

use tracing::debug_span;
use vmstate::stream::StreamDescription;

use super::Incoming;
use crate::error::Cause;
use crate::event::State;

/// The most bytes of a section or of device state that are held in memory, where nothing else is said.
pub(crate) const LARGEST_HELD: u64 = 1 << 30;

/// What lies behind RAM: the sections of the devices, the end of the guest's state, and the description.
#[derive(Debug, Clone)]
pub struct Tail {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Bytes from the start of the stream to the first of them.
    pub offset: u64,
    /// When how many of the bytes were there.
    pub arrivals: Vec<(u64, Instant)>,
}

impl<R: Read> Incoming<'_, R> {
    /// Takes the tail.
    pub(super) fn tail(&mut self) -> Result<Tail, Cause> {
        self.enter(State::Device);
        let _span = debug_span!("tail", offset = self.wire.offset()).entered();
        let limit = self.terms.held.unwrap_or(LARGEST_HELD);
        let offset = self.wire.offset();
        let mut arrivals = Vec::new();
        loop {
            let waiting = self.wire.waiting();
            arrivals.push((waiting.len() as u64, Instant::now()));
            if waiting.len() as u64 > limit {
                return Err(Cause::TooLarge { what: "device state", limit });
            }
            if is_whole(waiting) {
                let bytes = waiting.to_vec();
                self.wire.take_to(offset + bytes.len() as u64);
                self.counter.bytes(bytes.len() as u64);
                return Ok(Tail { bytes, offset, arrivals });
            }
            match self.wire.fill("the description at the end of the stream") {
                Ok(()) => {}
                // A source that sends no description may close the channel behind the state.
                Err(Cause::Closed { .. })
                    if self.terms.unacknowledged && self.wire.waiting().ends_with(&[0]) =>
                {
                    let bytes = self.wire.waiting().to_vec();
                    return Ok(Tail { bytes, offset, arrivals });
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether the description is there, and so all before it. The source waits for an answer then, and nothing
/// follows.
fn is_whole(bytes: &[u8]) -> bool {
    if bytes.last().is_none_or(|&last| last != b'}' && !last.is_ascii_whitespace()) {
        return false;
    }
    StreamDescription::find(&bytes).is_some_and(|found| found.end() == bytes.len() as u64)
}
