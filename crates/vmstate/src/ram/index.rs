//! Where each page of a block lies in the stream, as runs of pages.
//!
//! Pages that come one after the other lie at a constant distance, so that a few bytes say where
//! thousands of them are. Where pages with content and pages of zeros take turns, each takes a bit. A page
//! that comes again replaces what it was. Pages of `mapped-ram` come in no order and take a bit each, too.

use std::collections::BTreeMap;
use std::mem;
use std::ops::Range;
use std::sync::Arc;

use super::bits::Mixed;
use super::mapped::Places;

/// Pages that take a bit each, in one entry: so many that an entry costs little, so few that those that are
/// replaced keep little.
const TOGETHER: u64 = 4096;
/// Runs that are fewer than these are kept as they are.
const FEW: usize = 4;

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
    /// Runs that follow one another, at most [`TOGETHER`] pages; they are newer than all in `runs`.
    last: Vec<Run>,
    /// The run that is still growing; it is newer than all others.
    open: Option<Run>,
    /// Bytes of a record with a page, in the block of the record before.
    record: u32,
    /// Changes to pages, oldest first.
    deltas: BTreeMap<u64, Vec<Delta>>,
    /// Pages at places of their own (`mapped-ram`). Such a block has no others.
    places: Option<Places>,
}

/// Pages that are kept together, without the number of the first.
#[derive(Debug, Clone)]
struct Span {
    count: u64,
    kept: Kept,
}

/// What is kept of the pages of a span.
#[derive(Debug, Clone)]
enum Kept {
    /// They are a run.
    Alike(Content),
    /// They are some pages of these, from the one with this number on.
    Mixed(Arc<Mixed>, u64),
}

impl Kept {
    /// What is kept of the pages from the `pages`-th on.
    fn after(&self, pages: u64) -> Self {
        match self {
            Self::Alike(content) => Self::Alike(content.after(pages)),
            Self::Mixed(mixed, first) => Self::Mixed(mixed.clone(), first + pages),
        }
    }

    /// What the `page`-th holds.
    fn content(&self, page: u64) -> Content {
        match self {
            Self::Alike(content) => content.after(page),
            Self::Mixed(mixed, first) => mixed.content(first + page),
        }
    }
}

impl Span {
    /// The runs in it, if it begins with page `first`.
    fn runs(&self, first: u64) -> impl Iterator<Item = Run> {
        let (alike, mixed) = match &self.kept {
            Kept::Alike(content) => (Some(Run { first, count: self.count, content: *content }), None),
            Kept::Mixed(mixed, at) => {
                let runs = mixed.runs(*at..at + self.count);
                (None, Some(runs.map(move |run| Run { first: first + run.first - at, ..run })))
            }
        };
        alike.into_iter().chain(mixed.into_iter().flatten())
    }
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
    /// Pages of `page_size` bytes that come in records.
    pub(super) fn in_records(page_size: u64) -> Self {
        // A head of 8 bytes, and the page.
        Self { record: u32::try_from(page_size + 8).unwrap_or_default(), ..Self::default() }
    }

    /// Pages at places of their own.
    pub(super) fn mapped(places: Places) -> Self {
        Self { places: Some(places), ..Self::default() }
    }

    /// Records what pages hold, from now on.
    pub(super) fn put(&mut self, run: Run) {
        if let Some(open) = &mut self.open
            && open.extend(&run)
        {
            return;
        }
        if let Some(open) = self.open.replace(run) {
            self.gather(open);
        }
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

    /// Puts the last runs to the others. Before anything is asked for, this must have been called.
    pub(super) fn close(&mut self) {
        if let Some(open) = self.open.take() {
            self.gather(open);
        }
        self.keep();
    }

    /// Puts a run to those it follows.
    fn gather(&mut self, run: Run) {
        let (first, end) = (self.last.first(), self.last.last().map(Run::end));
        let pages = first.map_or(0, |first| run.end() - first.first.min(run.first));
        if end.is_some_and(|end| end != run.first) || pages > TOGETHER {
            self.keep();
        }
        self.last.push(run);
    }

    /// Keeps the last runs: together, where that takes less.
    fn keep(&mut self) {
        let runs = mem::take(&mut self.last);
        let mut rest = runs.as_slice();
        while let Some((run, others)) = rest.split_first() {
            // A long run is never with others.
            if rest.len() >= FEW {
                let (mixed, taken) = Mixed::take(rest, self.record);
                if let Some((together, others)) = rest.split_at_checked(taken.max(1)) {
                    if together.len() >= FEW {
                        let count = together.iter().map(|run| run.count).sum();
                        self.insert(run.first, Span { count, kept: Kept::Mixed(Arc::new(mixed), 0) });
                    } else {
                        together.iter().for_each(|run| self.insert_run(run));
                    }
                    rest = others;
                    continue;
                }
            }
            self.insert_run(run);
            rest = others;
        }
    }

    fn insert_run(&mut self, run: &Run) {
        self.insert(run.first, Span { count: run.count, kept: Kept::Alike(run.content) });
    }

    /// Puts in a span, in place of what was there.
    fn insert(&mut self, first: u64, span: Span) {
        self.clear(first..first.saturating_add(span.count));
        self.runs.insert(first, span);
    }

    /// Makes room: runs that reach into `pages` are cut.
    fn clear(&mut self, pages: Range<u64>) {
        while let Some((&page, _)) = self.deltas.range(pages.clone()).next() {
            self.deltas.remove(&page);
        }
        if let Some((&first, span)) = self.runs.range_mut(..pages.start).next_back() {
            let keep = pages.start - first;
            if keep < span.count {
                let whole = span.clone();
                span.count = keep;
                self.keep_tail(first, &whole, pages.end);
            }
        }
        while let Some((&first, _)) = self.runs.range(pages.clone()).next() {
            let Some(span) = self.runs.remove(&first) else { break };
            self.keep_tail(first, &span, pages.end);
        }
    }

    /// Puts back what of a run lies at `end` and after.
    fn keep_tail(&mut self, first: u64, span: &Span, end: u64) {
        let cut = end.saturating_sub(first);
        if let Some(count) = span.count.checked_sub(cut).filter(|&count| count > 0) {
            self.runs.insert(end, Span { count, kept: span.kept.after(cut) });
        }
    }

    /// What a page holds, but for its changes; `None` if it is not in the stream.
    pub(super) fn get(&self, page: u64) -> Option<Content> {
        if let Some(places) = &self.places {
            return places.get(page);
        }
        let (&first, span) = self.runs.range(..=page).next_back()?;
        let within = page - first;
        (within < span.count).then(|| span.kept.content(within))
    }

    /// The changes to a page, oldest first.
    pub(super) fn deltas(&self, page: u64) -> &[Delta] {
        self.deltas.get(&page).map(Vec::as_slice).unwrap_or_default()
    }

    /// All runs, first pages first.
    pub(super) fn runs(&self) -> impl Iterator<Item = Run> {
        let runs = self.runs.iter().flat_map(|(&first, span)| span.runs(first));
        runs.chain(self.places.iter().flat_map(Places::runs))
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
        let mut pages = Pages::in_records(4096);
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

    /// Records one behind the other, as QEMU writes them: of a page for each `true`, of zeros for each `false`.
    fn in_turn(first: u64, mut offset: u64, pages: &[bool]) -> Vec<Run> {
        let run = |(page, &has_content): (u64, &bool)| {
            let run = if has_content { data(page, offset + 8) } else { zero(page, 1) };
            offset += if has_content { 4104 } else { 9 };
            run
        };
        (first..).zip(pages).map(run).collect()
    }

    #[test]
    fn pages_that_take_turns_take_a_bit_each() {
        let index = pages(in_turn(3, 100, &[true, false].repeat(5000)));
        assert!(index.runs.len() <= 3, "{} entries", index.runs.len());
        assert_eq!(index.runs().count(), 10_000);
        for page in 0..5000 {
            let offset = 108 + page * 4113;
            assert_eq!(index.get(3 + 2 * page), Some(Content::Data { offset, stride: 4104 }));
            assert_eq!(index.get(4 + 2 * page), Some(Content::Zero));
        }
        assert_eq!(index.get(10_003), None);
    }

    #[test]
    fn records_that_are_not_in_turn_are_kept_as_they_are() {
        // The first record of a section names the block.
        let mut runs = in_turn(0, 100, &[true, false, true, false, true]);
        runs.extend(in_turn(5, 90_000, &[true, false, true, false, true]));
        let index = pages(runs.clone());
        // Two of a kind, and the two pages between them, which have a distance of their own.
        assert_eq!(index.runs.len(), 3);
        for run in runs {
            let at = |content| match content {
                Content::Zero => 0,
                Content::Data { offset, .. } => offset,
            };
            assert_eq!(index.get(run.first).map(at), Some(at(run.content)));
        }
    }

    proptest! {
        /// Against a cell for each page: records in turn, over others.
        #[test]
        fn agrees_where_pages_take_turns(
            puts in proptest::collection::vec((0_u64..100, proptest::collection::vec(any::<bool>(), 1..150)), 0..12),
            gone in proptest::option::of((0_u64..200, 1_u64..40)),
        ) {
            let mut cells = vec![None; 256];
            let mut index = Pages::in_records(4096);
            for (step, (first, turns)) in (1_u64..).zip(puts) {
                for run in in_turn(first, step << 32, &turns) {
                    cells[usize::try_from(run.first).unwrap()] = Some(run.content);
                    index.put(run);
                }
            }
            if let Some((first, count)) = gone {
                index.discard(first..first + count);
                cells.iter_mut().skip(usize::try_from(first).unwrap()).take(usize::try_from(count).unwrap())
                    .for_each(|cell| *cell = None);
            }
            index.close();
            let at = |content| match content {
                Content::Zero => 0,
                Content::Data { offset, .. } => offset,
            };
            let mut in_runs = vec![None; 256];
            for run in index.runs() {
                for page in 0..run.count {
                    let cell = &mut in_runs[usize::try_from(run.first + page).unwrap()];
                    prop_assert!(cell.is_none());
                    *cell = Some(at(run.content.after(page)));
                }
            }
            for (page, cell) in (0_u64..).zip(&cells) {
                prop_assert_eq!(index.get(page).map(at), cell.map(at));
                prop_assert_eq!(in_runs[usize::try_from(page).unwrap()], cell.map(at));
            }
        }

        /// Against the simplest index there is: a cell for each page.
        #[test]
        fn agrees_with_one_cell_for_each_page(
            puts in proptest::collection::vec((0_u64..40, 1_u64..12, 0_u8..4), 0..40),
        ) {
            let mut cells: Vec<Option<Content>> = vec![None; 64];
            let mut index = Pages::in_records(4096);
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
