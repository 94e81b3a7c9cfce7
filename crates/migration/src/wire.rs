//! The bytes of a stream as they arrive: read in large pieces, and taken record by record.

use std::io::{self, Read};

use vmstate::{ErrorKind, Reader};

use crate::error::Cause;

/// How much is read at once, at most.
const CAPACITY: usize = 1 << 20;

/// What was read off a channel and is not taken yet.
#[derive(Debug)]
pub(crate) struct Wire<R> {
    channel: R,
    buffer: Vec<u8>,
    /// What is waiting lies there in the buffer.
    start: usize,
    end: usize,
    /// Bytes from the start of the stream to the first that is waiting.
    offset: u64,
}

impl<R: Read> Wire<R> {
    pub(crate) fn new(channel: R) -> Self {
        Self { channel, buffer: vec![0; CAPACITY], start: 0, end: 0, offset: 0 }
    }

    /// Bytes from the start of the stream to the first that is waiting.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// What is waiting.
    pub(crate) fn waiting(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// A reader of what is waiting.
    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader::new(self.waiting(), self.offset)
    }

    /// Waits for more; at least one byte comes.
    ///
    /// # Errors
    /// [`Cause::Closed`] if none comes any more.
    pub(crate) fn fill(&mut self, before: &'static str) -> Result<(), Cause> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        loop {
            match self.channel.read(room) {
                Ok(0) => {
                    let offset = self.offset.saturating_add(self.end as u64);
                    return Err(Cause::Closed { offset, before });
                }
                Ok(read) => {
                    self.end += read;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes what is waiting, up to `offset`.
    pub(crate) fn take_to(&mut self, offset: u64) {
        let bytes = usize::try_from(offset.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let bytes = bytes.min(self.end - self.start);
        self.start += bytes;
        self.offset += bytes as u64;
    }

    /// Reads something without taking it, waiting for more until it is there, and says where it ends.
    ///
    /// # Errors
    /// If it makes no sense, or does not come.
    pub(crate) fn look<T>(
        &mut self,
        before: &'static str,
        mut load: impl FnMut(&mut Reader<'_>) -> vmstate::Result<T>,
    ) -> Result<(T, u64), Cause> {
        loop {
            let mut input = self.reader();
            match load(&mut input) {
                Ok(found) => return Ok((found, input.offset())),
                Err(error) if matches!(error.kind(), ErrorKind::Truncated { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            self.fill(before)?;
        }
    }
}
