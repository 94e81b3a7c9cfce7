//! From RAM sections to an index of their pages.

use super::index::{Content, Delta, Pages, Run};
use super::record::{Decoder, PageAddress, Record};
use super::{Layout, Ram, mapped};
use crate::error::{Error, ErrorKind, Result};
use crate::source::Cursor;

/// Records between two reports of how far it is.
const REPORT_EVERY: u64 = 4096;

/// Walks over the RAM sections of a stream, in order, and notes where the pages are.
#[derive(Debug, Clone)]
pub(crate) struct Indexer {
    decoder: Decoder,
    pages: Vec<Pages>,
    bytes: u64,
    normal: u64,
    zero: u64,
    xbzrle: u64,
    multifd: bool,
    records: u64,
}

impl Indexer {
    /// For a stream with target pages of `page_size` bytes.
    pub(crate) fn new(page_size: u64, layout: Layout) -> Self {
        Self {
            decoder: Decoder::new(page_size, layout),
            pages: Vec::new(),
            bytes: 0,
            normal: 0,
            zero: 0,
            xbzrle: 0,
            multifd: false,
            records: 0,
        }
    }

    /// Walks over the body of one section, up to and with the record that ends it.
    ///
    /// # Errors
    /// If a record makes no sense or the source ends before the section does. Pages before that are
    /// noted.
    pub(crate) fn section(&mut self, cursor: &mut Cursor<'_>, progress: &mut dyn FnMut(u64)) -> Result<()> {
        loop {
            self.records += 1;
            if self.records.is_multiple_of(REPORT_EVERY) {
                progress(cursor.offset());
            }
            match cursor.read(|input| self.decoder.decode(input))? {
                Record::EndOfSection => return Ok(()),
                Record::MultifdFlush => self.multifd = true,
                Record::MemSize { bytes } => self.bytes = self.bytes.saturating_add(bytes),
                Record::Block(index) => self.block(index, cursor)?,
                Record::Zero(page) => {
                    self.zero += 1;
                    self.put(page, Content::Zero);
                }
                Record::Page(page) => {
                    let offset = cursor.offset();
                    cursor.skip(self.decoder.page_size())?;
                    self.normal += 1;
                    self.put(page, Content::Data { offset, stride: 0 });
                }
                Record::Xbzrle { page, bytes } => {
                    let offset = cursor.offset();
                    cursor.skip(bytes.into())?;
                    self.xbzrle += 1;
                    let number = self.number(page);
                    if let Some(pages) = self.pages.get_mut(page.block) {
                        pages.change(number, Delta { offset, bytes });
                    }
                }
            }
        }
    }

    fn put(&mut self, page: PageAddress, content: Content) {
        let first = self.number(page);
        if let Some(pages) = self.pages.get_mut(page.block) {
            pages.put(Run { first, count: 1, content });
        }
    }

    /// The number of a page in its block. There are many pages, and a shift is faster than a division.
    fn number(&self, page: PageAddress) -> u64 {
        page.offset >> self.decoder.page_size().trailing_zeros()
    }

    /// A new block; the pages of a mapped one lie right here, and the list goes on behind them.
    fn block(&mut self, index: usize, cursor: &mut Cursor<'_>) -> Result<()> {
        let mut pages = Pages::in_records(self.decoder.page_size());
        if let Some(block) = self.decoder.blocks().get(index)
            && let Some(mapped) = &block.mapped
        {
            let here = mapped.in_stream(cursor.source().origin());
            let here = here.filter(|here| here.pages_offset >= cursor.offset());
            let behind = here.and_then(|here| here.pages_offset.checked_add(block.bytes));
            let Some((here, behind)) = here.zip(behind) else {
                let text = format!("pages of block `{}` at {:#x}", block.name, mapped.pages_offset);
                return Err(Error::new(ErrorKind::Invalid(text.into()), cursor.offset()));
            };
            let places = mapped::index(cursor.source(), block, &here)?;
            let (there, missing) = places.counts();
            pages = Pages::mapped(places);
            self.normal += there;
            self.zero += missing;
            cursor.seek(behind);
        }
        self.pages.push(pages);
        Ok(())
    }

    /// Forgets ranges (start and length, in bytes) of a block, as `POSTCOPY_RAM_DISCARD` asks; those of an
    /// unknown block are ignored.
    pub(crate) fn discard(&mut self, block: &str, ranges: &[(u64, u64)]) {
        let page_size = self.decoder.page_size();
        let index = self.decoder.blocks().iter().position(|other| other.name == block);
        let Some(pages) = index.and_then(|index| self.pages.get_mut(index)) else { return };
        for &(start, length) in ranges {
            pages.discard(start / page_size..start.saturating_add(length).div_ceil(page_size));
        }
    }

    /// What was found.
    pub(crate) fn finish(mut self) -> Ram {
        self.pages.iter_mut().for_each(Pages::close);
        Ram {
            page_size: self.decoder.page_size(),
            bytes: self.bytes,
            normal: self.normal,
            zero: self.zero,
            xbzrle: self.xbzrle,
            multifd: self.multifd,
            blocks: self.decoder.into_blocks(),
            pages: self.pages,
        }
    }
}
