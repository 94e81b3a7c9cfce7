//! Writing the records of a RAM section: what [`Decoder`](super::Decoder) reads.
//!
//! An [`Encoder`] writes the heads of records. The bytes of a page follow the head of its record, and are
//! left to the caller, who may have them somewhere they need not be copied from.

use super::block::Block;
use super::record::{PageAddress, flag};
use crate::writer::Writer;

/// Writes the records of all RAM sections of a stream, in order.
#[derive(Debug, Clone)]
pub struct Encoder {
    names: Vec<String>,
    /// The block of the last page record, which the next one need not name again.
    last: Option<usize>,
}

impl Encoder {
    /// The most bytes that the head of a page's record has: be64, the length of the block's name, the name.
    pub const LONGEST_HEAD: usize = 8 + 1 + 255;

    /// An encoder for pages of these blocks.
    #[must_use]
    pub fn new(blocks: &[Block]) -> Self {
        Self { names: blocks.iter().map(|block| block.name.clone()).collect(), last: None }
    }

    /// Writes the block list: the total, and name, length and what else is known of each block.
    pub fn block_list(blocks: &[Block], out: &mut Writer) {
        Self::mem_size(blocks, out);
        blocks.iter().for_each(|block| block.save(out));
    }

    /// Writes what the block list begins with: bytes of all blocks together. The entries are to follow.
    pub fn mem_size(blocks: &[Block], out: &mut Writer) {
        let bytes = blocks.iter().fold(0_u64, |sum, block| sum.saturating_add(block.bytes));
        out.u64(bytes | flag::MEM_SIZE);
    }

    /// Writes the head of a page's record; its bytes are to follow.
    pub fn page(&mut self, page: PageAddress, out: &mut Writer) {
        self.head(page, flag::PAGE, out);
    }

    /// Writes the record of a page of zeros.
    pub fn zero(&mut self, page: PageAddress, out: &mut Writer) {
        self.head(page, flag::ZERO, out);
        out.u8(0);
    }

    /// Writes the head of the record of changes to a page (XBZRLE); `bytes` of them are to follow.
    pub fn xbzrle(&mut self, page: PageAddress, bytes: u16, out: &mut Writer) {
        self.head(page, flag::XBZRLE, out);
        out.u8(super::record::ENCODING_XBZRLE);
        out.u16(bytes);
    }

    /// Writes that the pages of a round that went over other channels must be there (multifd).
    pub fn multifd_flush(out: &mut Writer) {
        out.u64(flag::MULTIFD_FLUSH);
    }

    /// Writes the end of the section.
    pub fn end_of_section(out: &mut Writer) {
        out.u64(flag::EOS);
    }

    fn head(&mut self, page: PageAddress, flags: u64, out: &mut Writer) {
        if self.last == Some(page.block) {
            out.u64(page.offset | flags | flag::CONTINUE);
            return;
        }
        out.u64(page.offset | flags);
        out.name(self.names.get(page.block).map_or("", String::as_str));
        self.last = Some(page.block);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Decoder, Layout, Mapped, Record};
    use super::*;
    use crate::reader::Reader;

    fn blocks() -> Vec<Block> {
        let block = |name: &str, bytes| Block { name: name.into(), bytes, ..Block::default() };
        vec![block("pc.ram", 0x8000), block("vga.vram", 0x2000)]
    }

    #[test]
    fn is_read_as_it_was_written() {
        let blocks = blocks();
        let page = |block, offset| PageAddress { block, offset };
        let mut out = Writer::new();
        Encoder::block_list(&blocks, &mut out);
        let mut encoder = Encoder::new(&blocks);
        encoder.page(page(0, 0x1000), &mut out);
        out.bytes(&[7; 0x1000]);
        encoder.zero(page(0, 0x2000), &mut out);
        encoder.zero(page(1, 0), &mut out);
        encoder.xbzrle(page(1, 0x1000), 3, &mut out);
        out.bytes(&[1, 1, 1]);
        Encoder::multifd_flush(&mut out);
        Encoder::end_of_section(&mut out);

        let mut decoder = Decoder::new(0x1000, Layout::default());
        let mut input = Reader::new(out.as_bytes(), 0);
        let mut read = Vec::new();
        while read.last() != Some(&Record::EndOfSection) {
            let record = decoder.decode(&mut input).unwrap();
            match record {
                Record::Page(_) => drop(input.bytes(0x1000).unwrap()),
                Record::Xbzrle { bytes, .. } => drop(input.bytes(bytes.into()).unwrap()),
                _ => {}
            }
            read.push(record);
        }
        input.finish().unwrap();
        assert_eq!(decoder.blocks(), blocks);
        let expected = [
            Record::MemSize { bytes: 0xa000 },
            Record::Block(0),
            Record::Block(1),
            Record::Page(page(0, 0x1000)),
            Record::Zero(page(0, 0x2000)),
            Record::Zero(page(1, 0)),
            Record::Xbzrle { page: page(1, 0x1000), bytes: 3 },
            Record::MultifdFlush,
            Record::EndOfSection,
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn a_block_list_says_all_that_is_known() {
        let mut blocks = blocks();
        for block in &mut blocks {
            block.address = Some(0x10_0000);
            block.mapped = Some(Mapped { page_size: 0x1000, bitmap_offset: 0x2000, pages_offset: 0x10_0000 });
        }
        let mut out = Writer::new();
        Encoder::block_list(&blocks, &mut out);
        let layout = Layout { addresses: true, mapped: true, postcopy: false };
        let mut decoder = Decoder::new(0x1000, layout);
        let mut input = Reader::new(out.as_bytes(), 0);
        for _ in 0..3 {
            decoder.decode(&mut input).unwrap();
        }
        input.finish().unwrap();
        assert_eq!(decoder.blocks(), blocks);
    }
}
