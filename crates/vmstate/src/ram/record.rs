//! The records of a RAM section, one at a time.
//!
//! A [`Decoder`] takes the head of one record from a reader and says what it is; what belongs to the
//! record and is not its head (the bytes of a page) is left to the caller, who may skip it in a file or
//! read it off a pipe. When the reader holds too little it fails with [`ErrorKind::Truncated`], which
//! says how much is missing, and can be called again with more.
//!
//! Each record begins with eight bytes: an address in the upper bits, flags in those below the page
//! size.

use std::collections::HashMap;

use super::block::{Block, Layout};
use crate::error::{ErrorKind, Result};
use crate::reader::Reader;

/// The flags of a record.
pub(super) mod flag {
    pub(in crate::ram) const FULL: u64 = 0x001;
    pub(in crate::ram) const ZERO: u64 = 0x002;
    pub(in crate::ram) const MEM_SIZE: u64 = 0x004;
    pub(in crate::ram) const PAGE: u64 = 0x008;
    pub(in crate::ram) const EOS: u64 = 0x010;
    pub(in crate::ram) const CONTINUE: u64 = 0x020;
    pub(in crate::ram) const XBZRLE: u64 = 0x040;
    pub(in crate::ram) const HOOK: u64 = 0x080;
    pub(in crate::ram) const COMPRESS_PAGE: u64 = 0x100;
    pub(in crate::ram) const MULTIFD_FLUSH: u64 = 0x200;
    pub(in crate::ram) const ANY: u64 = 0x3ff;
}

/// The only encoding an XBZRLE record names.
pub(super) const ENCODING_XBZRLE: u8 = 1;

/// One record of a RAM section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// The block list begins; its blocks are the next records.
    MemSize {
        /// Bytes of all blocks together.
        bytes: u64,
    },
    /// An entry of the block list, by its index in [`Decoder::blocks`].
    Block(usize),
    /// A page of zeros.
    Zero(PageAddress),
    /// A page; its bytes follow.
    Page(PageAddress),
    /// Changes to a page that came before; they follow.
    Xbzrle {
        /// The page.
        page: PageAddress,
        /// Bytes of the encoded changes.
        bytes: u16,
    },
    /// Pages that went over other channels (multifd) are all there now.
    MultifdFlush,
    /// The section ends.
    EndOfSection,
}

/// A page of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageAddress {
    /// The block's index in the block list.
    pub block: usize,
    /// Bytes from the start of the block; a multiple of the page size.
    pub offset: u64,
}

/// Decodes the records of all RAM sections of a stream, in order.
#[derive(Debug, Clone)]
pub struct Decoder {
    page_size: u64,
    layout: Layout,
    blocks: Vec<Block>,
    names: HashMap<String, usize>,
    /// The block of the last page record: what CONTINUE means.
    last: Option<usize>,
    /// Bytes of blocks that the block list still has to name.
    unlisted: u64,
}

impl Decoder {
    /// A decoder for a stream with target pages of `page_size` bytes, a power of two.
    #[must_use]
    pub fn new(page_size: u64, layout: Layout) -> Self {
        Self { page_size, layout, blocks: Vec::new(), names: HashMap::new(), last: None, unlisted: 0 }
    }

    /// Bytes of a target page.
    #[must_use]
    pub fn page_size(&self) -> u64 {
        self.page_size
    }

    /// The blocks listed so far.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Whether a block list has come, and to its end.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        self.unlisted == 0 && !self.blocks.is_empty()
    }

    /// The blocks.
    #[must_use]
    pub fn into_blocks(self) -> Vec<Block> {
        self.blocks
    }

    /// Takes the head of the next record.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] if `input` holds too little, [`ErrorKind::Unsupported`] for records of
    /// RDMA and of the old compression, [`ErrorKind::Unknown`] and [`ErrorKind::Invalid`] for what
    /// makes no sense.
    pub fn decode(&mut self, input: &mut Reader<'_>) -> Result<Record> {
        if self.unlisted > 0 {
            return self.block(input);
        }
        let at = input.clone();
        let head = input.u64()?;
        let flags = head & (self.page_size - 1);
        let address = head - flags;
        match flags {
            flag::EOS => return Ok(Record::EndOfSection),
            flag::MEM_SIZE => {
                self.unlisted = address;
                return Ok(Record::MemSize { bytes: address });
            }
            _ if self.layout.mapped => {
                let expected = "0x4 (MEM_SIZE) or 0x10 (EOS): the stream is a mapped-ram one";
                return Err(at.fail(ErrorKind::Unknown { what: "RAM record flags", found: flags, expected }));
            }
            flag::MULTIFD_FLUSH => return Ok(Record::MultifdFlush),
            _ => {}
        }
        let page = |input: &mut Reader<'_>| self.page(input, address, flags & flag::CONTINUE != 0);
        let (record, page) = match flags & !flag::CONTINUE {
            flag::ZERO => {
                let page = page(input)?;
                let at_fill = input.clone();
                match input.u8()? {
                    0 => (Record::Zero(page), page),
                    fill => {
                        let kind = ErrorKind::NotEqual { found: fill.to_string(), expected: "0".to_owned() };
                        return Err(at_fill.fail(kind).in_field("fill byte of a zero page"));
                    }
                }
            }
            flag::PAGE => {
                let page = page(input)?;
                (Record::Page(page), page)
            }
            flag::XBZRLE => {
                let page = page(input)?;
                let at_encoding = input.clone();
                let encoding = input.u8()?;
                if encoding != ENCODING_XBZRLE {
                    let (what, found) = ("XBZRLE encoding", encoding.into());
                    return Err(at_encoding.fail(ErrorKind::Unknown { what, found, expected: "1" }));
                }
                let bytes = input.u16()?;
                (Record::Xbzrle { page, bytes }, page)
            }
            other => return Err(at.fail(refusal(other, flags))),
        };
        self.last = Some(page.block);
        Ok(record)
    }

    fn block(&mut self, input: &mut Reader<'_>) -> Result<Record> {
        let at = input.clone();
        let block = Block::load(input, &self.layout, self.unlisted, self.page_size)?;
        let Some(unlisted) = self.unlisted.checked_sub(block.bytes) else {
            let (what, found, limit) = ("bytes of RAM in the block list", block.bytes, self.unlisted);
            return Err(at.fail(ErrorKind::TooMany { what, found, limit }).in_field(block.name));
        };
        let index = self.blocks.len();
        if self.names.insert(block.name.clone(), index).is_some() {
            return Err(at.fail(ErrorKind::Invalid(format!("a second block `{}`", block.name).into())));
        }
        self.unlisted = unlisted;
        self.blocks.push(block);
        Ok(Record::Block(index))
    }

    /// The block and page a record is about.
    fn page(&self, input: &mut Reader<'_>, offset: u64, same_block: bool) -> Result<PageAddress> {
        let at = input.clone();
        let index = if same_block {
            self.last
                .ok_or_else(|| at.fail(ErrorKind::Invalid("CONTINUE, and no block came before".into())))?
        } else {
            let name = input.name()?;
            *self.names.get(name).ok_or_else(|| {
                at.fail(ErrorKind::Invalid(format!("a page of the unknown block `{name}`").into()))
            })?
        };
        match self.blocks.get(index) {
            Some(block) if offset < block.bytes => Ok(PageAddress { block: index, offset }),
            block => {
                let (name, bytes) = block.map_or(("", 0), |block| (block.name.as_str(), block.bytes));
                let text = format!("page {offset:#x} of block `{name}`, which has {bytes:#x} bytes");
                Err(at.fail(ErrorKind::Invalid(text.into())))
            }
        }
    }
}

/// Why a record with these flags cannot be read.
fn refusal(flags: u64, all: u64) -> ErrorKind {
    ErrorKind::Unsupported(match flags {
        flag::FULL => "RAM record flag FULL (0x1), obsolete since 2009,".into(),
        flag::HOOK => "RAM over RDMA (record flag HOOK, 0x80)".into(),
        flag::COMPRESS_PAGE => "compressed RAM (record flag COMPRESS_PAGE, 0x100; QEMU before 9.1)".into(),
        _ => {
            let what = "RAM record flags";
            let expected = "one of ZERO (0x2), MEM_SIZE (0x4), PAGE (0x8), EOS (0x10), XBZRLE (0x40) and \
                            MULTIFD_FLUSH (0x200), with CONTINUE (0x20) or without";
            return ErrorKind::Unknown { what, found: all, expected };
        }
    })
}

/// Whether eight bytes can be the first of a record: there is no record without flags.
pub(super) fn is_head(head: u64, page_size: u64) -> bool {
    let flags = head & (page_size - 1);
    flags != 0 && flags & !flag::ANY == 0
}
