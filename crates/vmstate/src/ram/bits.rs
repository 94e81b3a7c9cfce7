//! Which pages have content and which are zeros, a bit each.
//!
//! Guests have pages of zeros everywhere. An entry for each stretch of them takes many times the memory that
//! their bits take.

use std::iter;
use std::ops::Range;

use super::index::{Content, Run};

/// Bytes of the record of a page of zeros in the block of the record before: head and fill byte.
const ZERO_RECORD: u64 = 9;

/// Stretches of pages that are alike, and whether they have content.
///
/// `rest` gives the bit of a page and those of the pages behind it, up to the next multiple of 64, from bit 0 on.
pub(super) fn stretches(
    pages: Range<u64>,
    rest: impl Fn(u64) -> u64,
) -> impl Iterator<Item = (Range<u64>, bool)> {
    let mut page = pages.start;
    iter::from_fn(move || {
        let (first, there) = (page, rest(page) & 1 == 1);
        while page < pages.end && (rest(page) & 1 == 1) == there {
            let rest = rest(page);
            let alike = if there { rest.trailing_ones() } else { rest.trailing_zeros() };
            page = pages.end.min(page + u64::from(alike).min(64 - page % 64));
        }
        (first < pages.end).then_some((first..page, there))
    })
}

/// Pages that follow one another in the block and in the stream: their bits say where each lies.
#[derive(Debug)]
pub(super) struct Mixed {
    bits: Vec<u64>,
    /// Pages with content before each word of `bits`.
    before: Vec<u32>,
    /// Where the content of the first page lies, or would if it had any.
    start: u64,
    /// Bytes of a record with content; from that of one page to that of the next.
    record: u32,
}

impl Mixed {
    /// Takes as many of the first `runs`, which follow one another in the block, as do so in the stream too, each
    /// record right behind the one before; and says how many they are.
    pub(super) fn take(runs: &[Run], record: u32) -> (Self, usize) {
        let mut mixed = Self { bits: Vec::new(), before: Vec::new(), start: 0, record };
        let (mut page, mut there) = (0_u64, 0_u64);
        let mut is_placed = false;
        for (index, run) in runs.iter().enumerate() {
            let has_content = match run.content {
                Content::Zero => false,
                Content::Data { offset, stride } => {
                    let distance = (page - there) * ZERO_RECORD + there * u64::from(record);
                    let start = offset.checked_sub(distance);
                    let fits =
                        (!is_placed || start == Some(mixed.start)) && (run.count == 1 || stride == record);
                    let Some(start) = start.filter(|_| fits) else { return (mixed, index) };
                    (mixed.start, is_placed) = (start, true);
                    true
                }
            };
            for _ in 0..run.count {
                mixed.push(page, has_content, there);
                page += 1;
                there += u64::from(has_content);
            }
        }
        (mixed, runs.len())
    }

    fn push(&mut self, page: u64, has_content: bool, there: u64) {
        if page.is_multiple_of(64) {
            self.bits.push(0);
            self.before.push(u32::try_from(there).unwrap_or(u32::MAX));
        }
        if let Some(word) = self.bits.last_mut() {
            *word |= u64::from(has_content) << (page % 64);
        }
    }

    /// What a page holds, counted from the first.
    pub(super) fn content(&self, page: u64) -> Content {
        let word = usize::try_from(page / 64).unwrap_or(usize::MAX);
        let bits = self.bits.get(word).copied().unwrap_or_default();
        if bits >> (page % 64) & 1 == 0 {
            return Content::Zero;
        }
        let within = (bits & ((1 << (page % 64)) - 1)).count_ones();
        let there = u64::from(self.before.get(word).copied().unwrap_or_default()) + u64::from(within);
        let offset = self.start + (page - there) * ZERO_RECORD + there * u64::from(self.record);
        Content::Data { offset, stride: self.record }
    }

    /// The runs of some of its pages, which are counted from the first.
    pub(super) fn runs(&self, pages: Range<u64>) -> impl Iterator<Item = Run> {
        let rest = move |page: u64| {
            let word = usize::try_from(page / 64).ok().and_then(|word| self.bits.get(word));
            word.copied().unwrap_or_default() >> (page % 64)
        };
        stretches(pages, rest).map(move |(pages, _)| Run {
            first: pages.start,
            count: pages.end - pages.start,
            content: self.content(pages.start),
        })
    }
}
