//! Pages that are to go.

use std::ops::Range;

use vmstate::ram::Block;

/// Pages that are to go: for each block a bit for each page, lowest first.
#[derive(Debug, Clone)]
pub(super) struct Dirty(Vec<Vec<u64>>);

impl Dirty {
    /// All pages of these blocks.
    pub(super) fn all(blocks: &[Block], page_size: u64) -> Self {
        Self(blocks.iter().map(|block| all_pages(block.bytes.div_ceil(page_size))).collect())
    }

    /// How many there are.
    pub(super) fn pages(&self) -> u64 {
        self.0.iter().flatten().map(|word| u64::from(word.count_ones())).sum()
    }

    /// These pages of a block are to go, too.
    pub(super) fn add(&mut self, block: usize, bits: &[u64]) {
        for (word, new) in self.0.get_mut(block).into_iter().flatten().zip(bits) {
            *word |= new;
        }
    }

    /// Those that are not among others, of the same blocks.
    pub(super) fn without(&self, others: &Self) -> Self {
        let words = |(all, others): (&Vec<u64>, &Vec<u64>)| {
            all.iter().zip(others).map(|(all, others)| all & !others).collect()
        };
        Self(self.0.iter().zip(&others.0).map(words).collect())
    }

    /// Those of a block that follow one another: the first, and how many.
    pub(super) fn runs(&self, block: usize) -> impl Iterator<Item = (u64, usize)> + use<'_> {
        let bits = self.0.get(block).map_or(&[][..], Vec::as_slice);
        let mut next = 0;
        std::iter::from_fn(move || {
            let (first, count) = next_run(bits, next..usize::MAX, usize::MAX)?;
            next = first + count;
            Some((first as u64, count))
        })
    }

    /// Takes the first of a block within a range of pages, with those that follow it, at most `most`: which is the first,
    /// and how many they are. They are not to go any more.
    pub(super) fn take_run(&mut self, block: usize, within: Range<u64>, most: usize) -> Option<(u64, usize)> {
        let bits = self.0.get_mut(block)?;
        let page = |page: u64| usize::try_from(page).unwrap_or(usize::MAX);
        let (first, count) = next_run(bits, page(within.start)..page(within.end), most)?;
        for page in first..first + count {
            if let Some(word) = bits.get_mut(page / 64) {
                *word &= !(1 << (page % 64));
            }
        }
        Some((first as u64, count))
    }
}

/// Bits for so many pages, all set.
fn all_pages(pages: u64) -> Vec<u64> {
    let words = usize::try_from(pages.div_ceil(64)).unwrap_or_default();
    let mut bits = vec![u64::MAX; words];
    if let Some(last) = bits.last_mut()
        && !pages.is_multiple_of(64)
    {
        *last = (1 << (pages % 64)) - 1;
    }
    bits
}

/// The first bits within a range that are set and follow one another, at most `most`: the first, and how many.
fn next_run(bits: &[u64], within: Range<usize>, most: usize) -> Option<(usize, usize)> {
    let end = within.end.min(bits.len() * 64);
    let is_set = |page: usize| bits.get(page / 64).is_some_and(|word| word >> (page % 64) & 1 == 1);
    let mut first = within.start;
    while first < end && !is_set(first) {
        // A word without any is passed at once.
        let is_empty = first.is_multiple_of(64) && bits.get(first / 64) == Some(&0);
        first += if is_empty { 64 } else { 1 };
    }
    let count = (first..end).take(most).take_while(|&page| is_set(page)).count();
    (count > 0).then_some((first, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_runs() {
        let runs = |bits: &[u64]| Dirty(vec![bits.to_vec()]).runs(0).collect::<Vec<_>>();
        assert_eq!(runs(&[0b1101, 0, 1 << 63, 1]), [(0, 1), (2, 2), (191, 2)]);
        assert_eq!(runs(&[]), []);
        assert_eq!(runs(&[u64::MAX, u64::MAX]), [(0, 128)]);
        assert_eq!(all_pages(65), [u64::MAX, 1]);
        assert_eq!(all_pages(64), [u64::MAX]);
    }

    #[test]
    fn what_is_taken_goes_once() {
        let mut dirty = Dirty::all(&[Block::new("a", 100 << 12), Block::new("b", 0)], 1 << 12);
        assert_eq!(dirty.pages(), 100);
        assert_eq!(dirty.take_run(0, 62..66, 3), Some((62, 3)));
        assert_eq!(dirty.take_run(0, 62..66, 3), Some((65, 1)));
        assert_eq!(dirty.take_run(0, 62..66, 3), None);
        assert_eq!(dirty.take_run(0, 60..u64::MAX, 9), Some((60, 2)));
        assert_eq!(dirty.take_run(1, 0..u64::MAX, 9), None);
        assert_eq!(dirty.take_run(7, 0..1, 9), None);
        assert_eq!(dirty.pages(), 94);
        assert_eq!(dirty.runs(0).collect::<Vec<_>>(), [(0, 60), (66, 34)]);
        let before = dirty.clone();
        dirty.add(0, &[1 << 62 | 1]);
        assert_eq!(dirty.without(&before).runs(0).collect::<Vec<_>>(), [(62, 1)]);
        assert_eq!(dirty.take_run(0, 61..64, 9), Some((62, 1)));
    }
}
