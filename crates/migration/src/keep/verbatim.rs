//! Every byte as it came.

use std::fs::File;
use std::io::Write;

use crate::error::Cause;
use crate::incoming::{Sink, Tail};
use crate::ram::{Nowhere, RamSink};

/// Keeps every byte as it came.
#[derive(Debug)]
pub struct Verbatim {
    file: File,
}

impl Verbatim {
    /// Into an empty file.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self { file }
    }

    /// Keeps the tail, and gives the file.
    ///
    /// # Errors
    /// If it does not take so much.
    pub fn finish(mut self, tail: &Tail) -> Result<File, Cause> {
        self.file.write_all(&tail.bytes).map_err(Cause::Keep)?;
        Ok(self.file)
    }
}

impl Sink for Verbatim {
    fn ram(&self) -> &dyn RamSink {
        &Nowhere
    }
    fn passed(&mut self, bytes: &[u8]) -> Result<(), Cause> {
        self.file.write_all(bytes).map_err(Cause::Keep)
    }
}
