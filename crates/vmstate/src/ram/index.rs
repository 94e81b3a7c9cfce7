//! Where each page of a block lies in the stream, as runs of pages.
//!
//! Pages that come one after the other lie at a constant distance, so that a few bytes say where
//! thousands of them are. A page that comes again replaces what it was.

use std::collections::BTreeMap;
use std::ops::Range;

/// Pages of a block that follow one another, in the block and in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The first page, counted in target pages from the start of the block.
    pub first: u64,
    /// How many pages.
    pub count: u64,
    /// What they hold.
    pub content: Content,
}

/// What the pages of a [`Run`] hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Zeros.
    Zero,
    /// Bytes of the stream.
    Data {
        /// Where the first page lies, in bytes from the start of the source.
        offset: u64,
        /// Bytes from the start of one page to the start of the next.
        stride: u32,
    },
}

/// Changes to a page (XBZRLE).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delta {
    pub(super) offset: u64,
    pub(super) bytes: u16,
}

/// The pages of one block.
#[derive(Debug, Clone, Default)]
pub(super) struct Pages {
    /// By first page; no two overlap.
    runs: BTreeMap<u64, Span>,
    /// The run that is still growing; it is newer than all in `runs`.
    open: Option<Run>,
    /// Changes to pages, oldest first.
    deltas: BTreeMap<u64, Vec<Delta>>,
}

/// A run without its first page.
#[derive(Debug, Clone, Copy)]
struct Span {
    count: u64,
    content: Content,
}

impl Content {
    /// What the pages from the `pages`-th on hold.
    fn after(self, pages: u64) -> Self {
        match self {
            Self::Zero => Self::Zero,
            Self::Data { offset, stride } => {
                Self::Data { offset: offset.saturating_add(pages.saturating_mul(stride.into())), stride }
            }
        }
    }
}

impl Run {
    /// The page after the last.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.first.saturating_add(self.count)
    }

    /// Takes `next` in, if it goes on where this run ends.
    fn extend(&mut self, next: &Self) -> bool {
        if next.first != self.end() {
            return false;
        }
        let together = match (&mut self.content, next.content) {
            (Content::Zero, Content::Zero) => true,
            (
                Content::Data { offset, stride },
                Content::Data { offset: next_offset, stride: next_stride },
            ) => {
                // One page alone has no stride yet.
                let distance = next_offset.checked_sub(*offset).and_then(|bytes| u32::try_from(bytes).ok());
                match distance {
                    Some(distance) if self.count == 1 && (next.count == 1 || next_stride == distance) => {
                        *stride = distance;
                        true
                    }
                    _ => {
                        let expected = offset.checked_add(self.count.saturating_mul((*stride).into()));
                        expected == Some(next_offset) && (next.count == 1 || next_stride == *stride)
                    }
                }
            }
            _ => false,
        };
        if together {
            self.count += next.count;
        }
        together
    }
}

impl Pages {
    /// Records what pages hold, from now on.
    pub(super) fn put(&mut self, run: Run) {
        if let Some(open) = &mut self.open
            && open.extend(&run)
        {
            return;
        }
        self.close();
        self.open = Some(run);
    }

    /// Records changes to a page.
    pub(super) fn change(&mut self, page: u64, delta: Delta) {
        self.close();
        self.deltas.entry(page).or_default().push(delta);
    }

    /// Forgets pages: the destination was told to throw them away.
    pub(super) fn discard(&mut self, pages: Range<u64>) {
        self.close();
        self.clear(pages);
    }

    /// Puts the growing run to the others. Before anything is asked for, this must have been called.
    pub(super) fn close(&mut self) {
        let Some(run) = self.open.take() else { return };
        self.clear(run.first..run.end());
        self.runs.insert(run.first, Span { count: run.count, content: run.content });
    }

    /// Makes room: runs that reach into `pages` are cut.
    fn clear(&mut self, pages: Range<u64>) {
        while let Some((&page, _)) = self.deltas.range(pages.clone()).next() {
            self.deltas.remove(&page);
        }
        let before = self.runs.range(..pages.start).next_back().map(|(&first, &span)| (first, span));
        if let Some((first, span)) = before {
            let keep = pages.start - first;
            if keep < span.count {
                self.runs.insert(first, Span { count: keep, ..span });
                self.keep_tail(first, span, pages.end);
            }
        }
        while let Some((&first, &span)) = self.runs.range(pages.clone()).next() {
            self.runs.remove(&first);
            self.keep_tail(first, span, pages.end);
        }
    }

    /// Puts back what of a run lies at `end` and after.
    fn keep_tail(&mut self, first: u64, span: Span, end: u64) {
        let cut = end.saturating_sub(first);
        if let Some(count) = span.count.checked_sub(cut).filter(|&count| count > 0) {
            self.runs.insert(end, Span { count, content: span.content.after(cut) });
        }
    }

    /// What a page holds, but for its changes; `None` if it is not in the stream.
    pub(super) fn get(&self, page: u64) -> Option<Content> {
        let (&first, span) = self.runs.range(..=page).next_back()?;
        let within = page - first;
        (within < span.count).then(|| span.content.after(within))
    }

    /// The changes to a page, oldest first.
    pub(super) fn deltas(&self, page: u64) -> &[Delta] {
        self.deltas.get(&page).map(Vec::as_slice).unwrap_or_default()
    }

    /// All runs, first pages first.
    pub(super) fn runs(&self) -> impl Iterator<Item = Run> {
        self.runs.iter().map(|(&first, span)| Run { first, count: span.count, content: span.content })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn data(first: u64, offset: u64) -> Run {
        Run { first, count: 1, content: Content::Data { offset, stride: 4096 } }
    }

    fn zero(first: u64, count: u64) -> Run {
        Run { first, count, content: Content::Zero }
    }

    fn pages(runs: impl IntoIterator<Item = Run>) -> Pages {
        let mut pages = Pages::default();
        runs.into_iter().for_each(|run| pages.put(run));
        pages.close();
        pages
    }

    #[test]
    fn a_constant_distance_is_one_run() {
        let index = pages((0..1000).map(|page| data(page, 100 + page * 4104)));
        let content = Content::Data { offset: 100, stride: 4104 };
        assert_eq!(index.runs().collect::<Vec<_>>(), [Run { first: 0, count: 1000, content }]);
        assert_eq!(index.get(999), Some(Content::Data { offset: 100 + 999 * 4104, stride: 4104 }));
        assert_eq!(index.get(1000), None);
    }

    #[test]
    fn another_distance_is_another_run() {
        let index = pages([data(0, 100), data(1, 4204), data(2, 9000), zero(3, 1), zero(4, 1), data(7, 99)]);
        let runs: Vec<_> = index.runs().map(|run| (run.first, run.count)).collect();
        assert_eq!(runs, [(0, 2), (2, 1), (3, 2), (7, 1)]);
    }

    #[test]
    fn what_comes_later_replaces() {
        let index = pages([zero(0, 10), data(4, 50)]);
        let runs: Vec<_> = index.runs().map(|run| (run.first, run.count)).collect();
        assert_eq!(runs, [(0, 4), (4, 1), (5, 5)]);
        assert!(matches!(index.get(4), Some(Content::Data { offset: 50, .. })));
    }

    #[test]
    fn a_page_that_comes_again_has_no_old_changes() {
        let mut index = pages([data(3, 50)]);
        index.change(3, Delta { offset: 9, bytes: 2 });
        index.change(3, Delta { offset: 20, bytes: 3 });
        assert_eq!(index.deltas(3).len(), 2);
        index.put(zero(3, 1));
        index.close();
        assert_eq!(index.deltas(3), []);
    }

    proptest! {
        /// Against the simplest index there is: a cell for each page.
        #[test]
        fn agrees_with_one_cell_for_each_page(
            puts in proptest::collection::vec((0_u64..40, 1_u64..12, 0_u8..4), 0..40),
        ) {
            let mut cells: Vec<Option<Content>> = vec![None; 64];
            let mut index = Pages::default();
            for (step, (first, count, kind)) in (1_u64..).zip(puts) {
                let content = match kind {
                    0 => Some(Content::Zero),
                    1 => None,
                    _ => Some(Content::Data { offset: step << 32, stride: 4104 }),
                };
                match content {
                    Some(content) => index.put(Run { first, count, content }),
                    None => index.discard(first..first + count),
                }
                for page in 0..count {
                    let page_content = content.map(|content| content.after(page));
                    cells[usize::try_from(first + page).unwrap()] = page_content;
                }
            }
            index.close();
            for (page, cell) in (0_u64..).zip(&cells) {
                let at = |content| match content {
                    Content::Zero => 0,
                    Content::Data { offset, .. } => offset,
                };
                prop_assert_eq!(index.get(page).map(at), cell.map(at));
            }
        }
    }
}
