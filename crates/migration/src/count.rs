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
        let words = self.seen.get_mut(page.block);
        let word = words.and_then(|words| words.get_mut(usize::try_from(number / 64).ok()?));
        let Some(word) = word else { return false };
        let bit = 1 << (number % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}
