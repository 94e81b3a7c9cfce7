//! What comes in post-copy: the package, and RAM behind it.

use std::io::Read;

use vmstate::ErrorKind;

use super::{Incoming, LARGEST_HELD, Sink, Tail};
use crate::error::Cause;
use crate::event::State;

/// How far post-copy is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Postcopy {
    /// It was not announced.
    #[default]
    Off,
    /// It may come.
    Advised,
    /// The package has come: RAM follows.
    Active,
}

impl<R: Read> Incoming<'_, R> {
    /// Post-copy is announced: before RAM has begun, and by a source that can be asked.
    pub(super) fn advised(&mut self) -> Result<(), Cause> {
        if self.decoder.is_some() || self.postcopy != Postcopy::Off {
            let text = "the announcement of post-copy, after RAM has begun or a second time";
            return Err(self.wire.reader().fail(ErrorKind::Invalid(text.into())).into());
        }
        self.postcopy = Postcopy::Advised;
        if self.answered { Ok(()) } else { Err(Cause::NoReturnPath) }
    }

    /// Takes the package.
    pub(super) fn package(&mut self, sink: &mut impl Sink, bytes: u32) -> Result<(), Cause> {
        let limit = self.terms.held.unwrap_or(LARGEST_HELD);
        if u64::from(bytes) > limit {
            return Err(Cause::TooLarge { what: "device state", limit });
        }
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let take = |input: &mut vmstate::Reader<'_>| input.bytes(bytes).map(<[u8]>::to_vec);
        let (package, end) = self.wire.look("the end of the package", take)?;
        self.postcopy = Postcopy::Active;
        self.enter(State::PostcopyActive);
        sink.package(package)?;
        self.pass(sink, end)
    }

    /// Takes the end: no device state is behind RAM then, and no description.
    pub(super) fn end_of_postcopy(&mut self, end: u64) -> Result<Tail, Cause> {
        let missing = self.counter.progress().remaining;
        if missing > 0 {
            let text = format!("the end of post-copy, with {missing} bytes of RAM missing");
            return Err(self.wire.reader().fail(ErrorKind::Invalid(text.into())).into());
        }
        let offset = self.wire.offset();
        self.wire.take_to(end);
        self.counter.bytes(end.saturating_sub(offset));
        Ok(Tail { bytes: Vec::new(), offset, arrivals: Vec::new() })
    }
}
