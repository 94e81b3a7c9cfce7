//! Sections of pages (`PART`), so many batches in each.

use vmstate::Writer;
use vmstate::ram::{Block, Encoder};
use vmstate::stream::{Head, Kind};

use super::line::Line;
use crate::error::Cause;
use crate::ram::Page;

/// Batches in one section.
const BATCHES: u32 = 32;

/// The section of pages that is being written, if one is open.
pub(super) struct Part {
    id: u32,
    encoder: Encoder,
    /// Batches in the section so far; `None` if none is open.
    batches: Option<u32>,
}

impl Part {
    /// No section yet. `id` is that of RAM's sections.
    pub(super) fn new(id: u32, blocks: &[Block]) -> Self {
        Self { id, encoder: Encoder::new(blocks), batches: None }
    }

    /// Writes a batch of pages. Begins a section for them, unless one is open.
    pub(super) fn batch(&mut self, pages: &[Page<'_>], line: &mut Line<'_>) -> Result<(), Cause> {
        if self.batches.is_none() {
            let mut out = Writer::new();
            Head::More { kind: Kind::Part, id: self.id }.save(&mut out);
            line.put(out.as_bytes())?;
        }
        self.batches = Some(self.batches.unwrap_or_default() + 1);
        line.records(&mut self.encoder, pages)
    }

    /// Whether a section is open.
    pub(super) fn is_open(&self) -> bool {
        self.batches.is_some()
    }

    /// Whether a section is open that is long enough.
    pub(super) fn is_full(&self) -> bool {
        self.batches.is_some_and(|batches| batches >= BATCHES)
    }

    /// Ends the section that is open, with these records as its last.
    pub(super) fn end(&mut self, last: Writer, line: &mut Line<'_>) -> Result<(), Cause> {
        self.batches = None;
        line.end_section(self.id, last)
    }
}
