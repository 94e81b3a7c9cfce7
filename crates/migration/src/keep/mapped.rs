//! A stream whose RAM has its places in the file.

use std::os::unix::fs::FileExt;

use vmstate::Writer;
use vmstate::ram::{Block, Encoder, Mapped as Place};
use vmstate::stream::{Configuration, Head, Kind, footer, save_start};

use super::MappedRam;
use crate::error::Cause;
use crate::incoming::{Sink, Tail};
use crate::ram::RamSink;

/// The pages of a block begin at a multiple of this.
const ALIGNMENT: u64 = 1 << 20;

/// The capability that says so.
pub(crate) const MAPPED_RAM: &str = "mapped-ram";

/// Keeps each page once.
#[derive(Debug)]
pub struct Mapped<'a> {
    ram: &'a MappedRam,
    /// Where the next section goes.
    end: u64,
    /// The blocks, with their places.
    blocks: Vec<Block>,
    /// The id of RAM's sections.
    id: u32,
}

impl<'a> Mapped<'a> {
    /// Into an empty file.
    #[must_use]
    pub fn new(ram: &'a MappedRam) -> Self {
        Self { ram, end: 0, blocks: Vec::new(), id: 0 }
    }

    /// Keeps the tail, and what ends RAM: the stream is complete then.
    ///
    /// # Errors
    /// If the file does not take so much.
    pub fn finish(mut self, tail: &Tail) -> Result<(), Cause> {
        for (index, block) in self.blocks.iter().enumerate() {
            if let Some(place) = block.mapped {
                let bitmap = self.ram.bitmap(index);
                self.ram.file().write_all_at(&bitmap, place.bitmap_offset).map_err(Cause::Keep)?;
            }
        }
        let mut out = Writer::new();
        Head::More { kind: Kind::End, id: self.id }.save(&mut out);
        Encoder::end_of_section(&mut out);
        out.bytes(&footer(self.id));
        out.bytes(&tail.bytes);
        self.append(out.as_bytes())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Cause> {
        self.ram.file().write_all_at(bytes, self.end).map_err(Cause::Keep)?;
        self.end = self.end.saturating_add(bytes.len() as u64);
        Ok(())
    }
}

impl Sink for Mapped<'_> {
    fn ram(&self) -> &dyn RamSink {
        self.ram
    }

    fn start(&mut self, configuration: Option<&Configuration>) -> Result<(), Cause> {
        let mut configuration = configuration.cloned().unwrap_or_default();
        configuration.set_capability(MAPPED_RAM, true);
        let mut out = Writer::new();
        save_start(Some(&configuration), &mut out);
        self.append(out.as_bytes())
    }

    fn blocks(&mut self, section: &Head, blocks: &[Block], page_size: u64) -> Result<(), Cause> {
        let mut out = Writer::new();
        section.save(&mut out);
        Encoder::mem_size(blocks, &mut out);
        self.append(out.as_bytes())?;
        let too_large = || Cause::Refused("RAM that has no place in any file".to_owned());
        for block in blocks {
            let mut block = block.clone();
            // Whatever the places are, the entry has the same length.
            let mut out = Writer::new();
            block.mapped = Some(Place { page_size, bitmap_offset: 0, pages_offset: 0 });
            block.save(&mut out);
            let bitmap_offset = self.end.saturating_add(out.len() as u64);
            let bitmap_bytes = block.bytes.div_ceil(page_size).div_ceil(64) * 8;
            let pages_offset = bitmap_offset
                .checked_add(bitmap_bytes)
                .and_then(|end| end.checked_next_multiple_of(ALIGNMENT))
                .ok_or_else(too_large)?;
            block.mapped = Some(Place { page_size, bitmap_offset, pages_offset });
            let mut out = Writer::new();
            block.save(&mut out);
            self.append(out.as_bytes())?;
            self.end = pages_offset.checked_add(block.bytes).ok_or_else(too_large)?;
            self.blocks.push(block);
        }
        self.ram.place(&self.blocks, page_size);
        let mut out = Writer::new();
        Encoder::end_of_section(&mut out);
        if let Head::Section { id, .. } = section {
            self.id = *id;
            out.bytes(&footer(*id));
        }
        self.append(out.as_bytes())
    }

    fn section(&mut self, head: &Head, body: &[u8]) -> Result<(), Cause> {
        let mut out = Writer::new();
        head.save(&mut out);
        out.bytes(body);
        if let Head::Section { id, .. } | Head::More { id, .. } = head {
            out.bytes(&footer(*id));
        }
        self.append(out.as_bytes())
    }
}
