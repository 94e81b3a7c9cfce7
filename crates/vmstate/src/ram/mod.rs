//! The RAM in a stream: which pages there are, and where.
//!
//! RAM is most of a stream and next to none of what anyone wants to see, so it is never read into
//! memory. [`Stream::scan`](crate::stream::Stream::scan) notes where each page lies, in a few bytes for
//! a run of them, and [`Ram::read`] fetches what is asked for.
//!
//! A page is in one of three states: it is there, it is known to be zero, or it is not in the stream
//! (it went over another channel, or the stream was cut before it came).

mod bits;
mod block;
mod encode;
mod index;
mod indexer;
mod mapped;
mod record;
pub mod xbzrle;

pub use block::{Block, Layout, Mapped};
pub use encode::Encoder;
pub use index::{Content, Run};
pub(crate) use indexer::Indexer;
pub use record::{Decoder, PageAddress, Record};

use crate::error::{Error, ErrorKind};
use crate::reader::Reader;
use crate::source::{Source, read_vec};
use index::Pages;

/// The RAM of a stream.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Ram {
    /// Bytes of a target page.
    pub page_size: u64,
    /// Bytes of all blocks together, as the block list says.
    pub bytes: u64,
    /// The blocks, in the order of the block list.
    pub blocks: Vec<Block>,
    /// Records with a whole page; a page that was sent twice counts twice. In a mapped-ram stream the
    /// pages that are there.
    pub normal: u64,
    /// Records of a page of zeros; a page that was sent twice counts twice. In a mapped-ram stream the
    /// pages that are not there.
    pub zero: u64,
    /// Records with changes to a page.
    pub xbzrle: u64,
    /// Whether pages went over other channels (multifd), and so are not in the stream.
    pub multifd: bool,
    /// The pages of each block.
    pages: Vec<Pages>,
}

/// Why RAM could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The block has no such bytes.
    #[error("block `{block}` has {bytes:#x} bytes, none at {offset:#x}")]
    OutOfBounds {
        /// The block's name, or its index if it has none.
        block: String,
        /// Bytes from the start of the block.
        offset: u64,
        /// Bytes of the block.
        bytes: u64,
    },
    /// The page is not in the stream.
    #[error("the page at {offset:#x} of block `{block}` is not in the stream")]
    Absent {
        /// The block's name.
        block: String,
        /// Bytes from the start of the block to the page.
        offset: u64,
    },
    /// The page is in the stream and cannot be read.
    #[error(transparent)]
    Stream(#[from] Error),
}

impl Ram {
    /// The index of the block called `name`.
    #[must_use]
    pub fn block(&self, name: &str) -> Option<usize> {
        self.blocks.iter().position(|block| block.name == name)
    }

    /// What the pages of a block hold, first pages first. Pages that are in no run are not in the stream;
    /// XBZRLE changes are not considered.
    pub fn runs(&self, block: usize) -> impl Iterator<Item = Run> {
        self.pages.get(block).into_iter().flat_map(Pages::runs)
    }

    /// Reads `buf.len()` bytes at `offset` of a block.
    ///
    /// # Errors
    /// If the block has no such bytes, a page is not in the stream, or `source`, which must be the one that
    /// was scanned, cannot be read. `buf` may be partly filled then.
    pub fn read(
        &self,
        source: &dyn Source,
        block: usize,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<(), ReadError> {
        let (name, bytes) = match self.blocks.get(block) {
            Some(block) => (block.name.clone(), block.bytes),
            None => (block.to_string(), 0),
        };
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > bytes) {
            return Err(ReadError::OutOfBounds { block: name, offset, bytes });
        }
        let mut at = offset;
        let mut rest = buf;
        while !rest.is_empty() {
            let within = at % self.page_size;
            let length = usize::try_from(self.page_size - within).unwrap_or(usize::MAX).min(rest.len());
            let Some((part, tail)) = rest.split_at_mut_checked(length) else { break };
            if !self.read_page(source, block, at / self.page_size, within, part)? {
                return Err(ReadError::Absent { block: name, offset: at - within });
            }
            at += length as u64;
            rest = tail;
        }
        Ok(())
    }

    /// Reads bytes of one page; `false` if it is not in the stream.
    fn read_page(
        &self,
        source: &dyn Source,
        block: usize,
        page: u64,
        within: u64,
        buf: &mut [u8],
    ) -> crate::Result<bool> {
        let Some(pages) = self.pages.get(block) else { return Ok(false) };
        let Some(content) = pages.get(page) else { return Ok(false) };
        let deltas = pages.deltas(page);
        if deltas.is_empty() {
            read_content(source, content, within, buf)?;
            return Ok(true);
        }
        let mut whole = vec![0; usize::try_from(self.page_size).unwrap_or_default()];
        read_content(source, content, 0, &mut whole)?;
        for delta in deltas {
            let changes = read_vec(source, delta.offset, delta.bytes.into(), u64::MAX, "bytes")?;
            xbzrle::apply(&mut Reader::new(&changes, delta.offset), &mut whole)
                .map_err(|error| error.in_field("XBZRLE page").in_scope("ram"))?;
        }
        let from = usize::try_from(within).ok().and_then(|within| whole.get(within..)).unwrap_or_default();
        buf.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
        Ok(true)
    }
}

fn read_content(source: &dyn Source, content: Content, within: u64, buf: &mut [u8]) -> crate::Result<()> {
    match content {
        Content::Zero => buf.fill(0),
        Content::Data { offset, .. } => {
            let offset = offset.saturating_add(within);
            source
                .read_exact_at(offset, buf)
                .map_err(|error| Error::new(ErrorKind::Io(error), offset).in_scope("ram"))?;
        }
    }
    Ok(())
}
