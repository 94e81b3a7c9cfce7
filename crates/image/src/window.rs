//! What lies behind a header, read in place.

use std::io::{self, Read};

use vmstate::source::Source;

/// The part of a source from `start` on.
pub(crate) struct Window<S> {
    source: S,
    start: u64,
}

impl<S: Source> Window<S> {
    pub(crate) fn new(source: S, start: u64) -> Self {
        Self { source, start }
    }
}

impl<S: Source> Source for Window<S> {
    fn len(&self) -> u64 {
        self.source.len().saturating_sub(self.start)
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.source.read_at(self.start.saturating_add(offset), buf)
    }
    fn origin(&self) -> u64 {
        self.source.origin().saturating_add(self.start)
    }
}

/// Reads a source from its start to its end.
pub(crate) struct Sequence<'a> {
    source: &'a dyn Source,
    at: u64,
}

impl<'a> Sequence<'a> {
    pub(crate) fn new(source: &'a dyn Source) -> Self {
        Self { source, at: 0 }
    }
}

impl Read for Sequence<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read_at(self.at, buf)?;
        self.at += read as u64;
        Ok(read)
    }
}
