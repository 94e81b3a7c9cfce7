//! Mapped RAM: pages at places of their own, and a bitmap that says which are there.

use super::block::{Block, Mapped};
use super::index::{Content, Pages, Run};
use crate::error::{Error, ErrorKind, Result};
use crate::source::Source;

/// Bytes of the bitmap that are read at once.
const CHUNK: u64 = 64 << 10;

/// Indexes the pages of a block, and counts those that are there and those that are not: zeros.
pub(super) fn index(
    source: &dyn Source,
    block: &Block,
    mapped: &Mapped,
    pages: &mut Pages,
) -> Result<(u64, u64)> {
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

    let content = |page: u64, there: bool| match there {
        true => Content::Data { offset: mapped.pages_offset + page * mapped.page_size, stride },
        false => Content::Zero,
    };
    let mut there = 0;
    let mut page = 0;
    let mut chunk = vec![0; usize::try_from(bytes.min(CHUNK)).unwrap_or_default()];
    while page < count {
        let offset = page / 8;
        let length = usize::try_from((bytes - offset).min(CHUNK)).unwrap_or_default();
        let chunk = chunk.get_mut(..length).unwrap_or_default();
        source.read_exact_at(mapped.bitmap_offset + offset, chunk).map_err(|error| fail(error.into()))?;
        for word in chunk.chunks_exact(8) {
            let word = u64::from_le_bytes(word.try_into().unwrap_or_default());
            let mut bit = 0;
            let bits = (count - page).min(64);
            while bit < bits {
                let set = word >> bit & 1 == 1;
                let rest = word >> bit;
                let alike = u64::from(if set { rest.trailing_ones() } else { rest.trailing_zeros() });
                let alike = alike.clamp(1, bits - bit);
                pages.put(Run { first: page + bit, count: alike, content: content(page + bit, set) });
                there += if set { alike } else { 0 };
                bit += alike;
            }
            page += bits;
        }
    }
    pages.close();
    Ok((there, count - there))
}
