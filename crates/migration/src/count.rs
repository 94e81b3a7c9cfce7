//! How much of RAM has come or gone.

use parking_lot::Mutex;
use vmstate::ram::{Block, PageAddress};

use crate::event::Progress;
use crate::ram::{Content, Page};

/// Counts pages.
#[derive(Debug, Default)]
pub struct Counter(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    progress: Progress,
    page_size: u64,
    /// A bit for each page of each block that has come at least once.
    seen: Vec<Vec<u64>>,
}

impl Counter {
    /// These are the blocks.
    pub fn start(&self, blocks: &[Block], page_size: u64) {
        let words = |block: &Block| usize::try_from(block.bytes.div_ceil(page_size * 64)).unwrap_or(0);
        let mut counts = self.0.lock();
        counts.page_size = page_size;
        counts.seen = blocks.iter().map(|block| vec![0; words(block)]).collect();
        counts.progress.total = blocks.iter().fold(0, |sum, block| sum.saturating_add(block.bytes));
        counts.progress.remaining = counts.progress.total;
    }

    /// These pages have come.
    pub fn pages(&self, pages: &[Page<'_>]) {
        let mut counts = self.0.lock();
        for page in pages {
            match page.content {
                Content::Data(_) => counts.progress.normal += 1,
                Content::Zero => counts.progress.zero += 1,
                Content::Changes(_) => counts.progress.xbzrle += 1,
            }
            if counts.is_new(page.at) {
                counts.progress.remaining = counts.progress.remaining.saturating_sub(counts.page_size);
            } else {
                counts.progress.again += 1;
            }
        }
    }

    /// These pages of a block are out of date: they are as if they had not come.
    pub fn forget(&self, block: usize, offset: u64, bytes: u64) {
        let mut counts = self.0.lock();
        let size = counts.page_size.max(1);
        for number in offset / size..offset.saturating_add(bytes).div_ceil(size) {
            let Some((word, bit)) = counts.bit(block, number) else { break };
            let was_there = *word & bit != 0;
            *word &= !bit;
            counts.progress.remaining += if was_there { size } else { 0 };
        }
    }

    /// So many more bytes have gone over a channel.
    pub fn bytes(&self, bytes: u64) {
        self.0.lock().progress.bytes += bytes;
    }

    /// How much it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.0.lock().progress
    }
}

impl Counts {
    /// Notes a page; whether it is the first time.
    fn is_new(&mut self, page: PageAddress) -> bool {
        let number = page.offset / self.page_size.max(1);
        let Some((word, bit)) = self.bit(page.block, number) else { return false };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// The bit of a page, in the word that has it.
    fn bit(&mut self, block: usize, number: u64) -> Option<(&mut u64, u64)> {
        let word = self.seen.get_mut(block)?.get_mut(usize::try_from(number / 64).ok()?)?;
        Some((word, 1 << (number % 64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_date_has_to_come_again() {
        let counter = Counter::default();
        counter.start(&[Block::new("a", 100 << 12)], 1 << 12);
        let page =
            |number: u64| Page { at: PageAddress { block: 0, offset: number << 12 }, content: Content::Zero };
        counter.pages(&(0..100).map(page).collect::<Vec<_>>());
        assert_eq!(counter.progress().remaining, 0);
        counter.forget(0, 60 << 12, 10 << 12);
        counter.forget(0, 69 << 12, 2 << 12);
        counter.forget(1, 0, 1 << 12);
        counter.forget(0, u64::MAX, 1);
        assert_eq!(counter.progress().remaining, 11 << 12);
        counter.pages(&[page(60), page(60), page(0)]);
        assert_eq!((counter.progress().remaining, counter.progress().again), (10 << 12, 2));
    }
}
