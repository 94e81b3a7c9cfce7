//! Mapped RAM: pages at places of their own, and a bitmap that says which are there.

use super::bits::stretches;
use super::block::{Block, Mapped};
use super::index::{Content, Run};
use crate::error::{Error, ErrorKind, Result};
use crate::source::Source;

/// Bytes of the bitmap that are read at once.
const CHUNK: u64 = 64 << 10;
/// Bytes of the bitmap that take no memory if they are all the same; [`CHUNK`] is a multiple.
const PART: usize = 512;
/// The pages they are about.
const PART_PAGES: u64 = PART as u64 * 8;

/// Reads which pages of a block are there.
pub(super) fn index(source: &dyn Source, block: &Block, mapped: &Mapped) -> Result<Places> {
    let count = block.bytes.div_ceil(mapped.page_size);
    let bytes = count.div_ceil(64) * 8;
    let fail = |kind| Error::new(kind, mapped.bitmap_offset).in_field(format!("bitmap of {}", block.name));
    let left = source.len().saturating_sub(mapped.bitmap_offset);
    if bytes > left {
        return Err(fail(ErrorKind::Truncated { needed: bytes, left }));
    }
    let stride = u32::try_from(mapped.page_size)
        .map_err(|_| fail(ErrorKind::Invalid("pages of more than 4 GiB".into())))?;
    let end_of_pages =
        count.checked_mul(mapped.page_size).and_then(|bytes| mapped.pages_offset.checked_add(bytes));
    if end_of_pages.is_none() {
        return Err(fail(ErrorKind::Invalid("pages beyond any file".into())));
    }

    let mut places = Places::new(count, mapped.pages_offset, stride);
    let mut at = 0;
    let mut chunk = vec![0; usize::try_from(bytes.min(CHUNK)).unwrap_or_default()];
    while at < bytes {
        let length = usize::try_from((bytes - at).min(CHUNK)).unwrap_or_default();
        let chunk = chunk.get_mut(..length).unwrap_or_default();
        source.read_exact_at(mapped.bitmap_offset + at, chunk).map_err(|error| fail(error.into()))?;
        chunk.chunks(PART).for_each(|part| places.push(part));
        at += length as u64;
    }
    Ok(places)
}

/// Which pages of a block are there, a bit each; the others are zeros. A part of the bitmap that is all the
/// same takes next to no memory.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// Pages of the block.
    count: u64,
    /// Where the first page lies, in bytes from the start of the source.
    offset: u64,
    /// Bytes of a page.
    stride: u32,
    parts: Vec<Part>,
    /// How many pages are there.
    there: u64,
}

#[derive(Debug, Clone)]
enum Part {
    None,
    All,
    Some(Box<[u64]>),
}

impl Places {
    fn new(count: u64, offset: u64, stride: u32) -> Self {
        Self { count, offset, stride, parts: Vec::new(), there: 0 }
    }

    /// Takes the next part of the bitmap.
    fn push(&mut self, bitmap: &[u8]) {
        let mut left = self.count - (self.parts.len() as u64 * PART_PAGES).min(self.count);
        let mut words: Box<[u64]> = bitmap
            .chunks_exact(8)
            .map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()))
            .collect();
        for word in &mut words {
            // Behind the last page there is none, whatever the bitmap says.
            *word &= u64::MAX.checked_shr(64 - u32::try_from(left.min(64)).unwrap_or(64)).unwrap_or(0);
            self.there += u64::from(word.count_ones());
            left = left.saturating_sub(64);
        }
        self.parts.push(match &*words {
            words if words.iter().all(|&word| word == 0) => Part::None,
            words if words.iter().all(|&word| word == u64::MAX) => Part::All,
            _ => Part::Some(words),
        });
    }

    /// How many pages are there, and how many are not.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.there, self.count - self.there)
    }

    /// What a page holds; `None` if the block has no such page.
    pub(super) fn get(&self, page: u64) -> Option<Content> {
        (page < self.count).then(|| self.content(page, self.rest(page) & 1 == 1))
    }

    /// All runs, first pages first.
    pub(super) fn runs(&self) -> impl Iterator<Item = Run> {
        stretches(0..self.count, |page| self.rest(page)).map(move |(pages, there)| Run {
            first: pages.start,
            count: pages.end - pages.start,
            content: self.content(pages.start, there),
        })
    }

    /// The bits of a page and of those behind it, up to the next multiple of 64.
    fn rest(&self, page: u64) -> u64 {
        let part = usize::try_from(page / PART_PAGES).ok().and_then(|part| self.parts.get(part));
        let word = match part {
            None | Some(Part::None) => 0,
            Some(Part::All) => u64::MAX,
            Some(Part::Some(words)) => {
                let word = usize::try_from(page % PART_PAGES / 64).unwrap_or_default();
                words.get(word).copied().unwrap_or_default()
            }
        };
        word >> (page % 64)
    }

    fn content(&self, page: u64, there: bool) -> Content {
        match there {
            true => {
                Content::Data { offset: self.offset + page * u64::from(self.stride), stride: self.stride }
            }
            false => Content::Zero,
        }
    }
}
