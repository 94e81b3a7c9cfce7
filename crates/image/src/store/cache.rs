//! What was fetched of an object, and how much to fetch next.
//!
//! A request takes as long as many KiB do, so that more is fetched than was asked for. Who reads on gets
//! twice as much each time; who jumps gets a little.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;

/// What is fetched after a jump, and what the places of all pieces are multiples of.
const SMALLEST_PIECE: u64 = 64 << 10;
/// What doubling ends at.
const LARGEST_PIECE: u64 = 8 << 20;
/// Bytes that are kept.
const KEPT: usize = 32 << 20;

/// Pieces of an object; no two overlap.
#[derive(Debug, Default)]
pub(super) struct Cache {
    pieces: BTreeMap<u64, Piece>,
    /// Bytes of all pieces.
    bytes: usize,
    /// Counts uses: what was not used for longest goes first.
    uses: u64,
    /// Where the last piece that was fetched ends, and how long the next one is to be if that is read on.
    end: u64,
    next: u64,
}

#[derive(Debug)]
struct Piece {
    bytes: Bytes,
    used: u64,
}

impl Cache {
    /// What is there at `offset` and behind it, up to the end of a piece.
    pub(super) fn get(&mut self, offset: u64) -> Option<Bytes> {
        let (&start, piece) = self.pieces.range_mut(..=offset).next_back()?;
        let within = usize::try_from(offset - start).ok().filter(|&within| within < piece.bytes.len())?;
        self.uses += 1;
        piece.used = self.uses;
        Some(piece.bytes.slice(within..))
    }

    /// What to fetch of an object of `len` bytes, so that the byte at `offset`, which is not there, will be;
    /// `asked` bytes are asked for.
    pub(super) fn wanted(&mut self, offset: u64, asked: usize, len: u64) -> Range<u64> {
        let start = offset - offset % SMALLEST_PIECE;
        let end = offset.saturating_add(asked as u64).min(start + LARGEST_PIECE);
        let least = (end - start).next_multiple_of(SMALLEST_PIECE);
        let length = if start == self.end && start > 0 { least.max(self.next) } else { least };
        self.next = (length * 2).min(LARGEST_PIECE);
        let there = self.pieces.range(offset..).next().map_or(len, |(&start, _)| start);
        self.end = start.saturating_add(length).min(len).min(there);
        start..self.end
    }

    /// Keeps a piece that was fetched.
    pub(super) fn put(&mut self, start: u64, bytes: Bytes) {
        self.bytes += bytes.len();
        self.uses += 1;
        self.pieces.insert(start, Piece { bytes, used: self.uses });
        while self.bytes > KEPT {
            let oldest = self.pieces.iter().min_by_key(|(_, piece)| piece.used).map(|(&start, _)| start);
            let Some(piece) = oldest.and_then(|start| self.pieces.remove(&start)) else { break };
            self.bytes -= piece.bytes.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the byte at each offset, and returns what is fetched for it.
    fn fetched(len: u64, offsets: impl IntoIterator<Item = u64>) -> Vec<Range<u64>> {
        let mut cache = Cache::default();
        let mut ranges = Vec::new();
        for offset in offsets {
            if cache.get(offset).is_none() {
                let range = cache.wanted(offset, 1, len);
                assert!(range.contains(&offset) && range.end <= len);
                cache.put(range.start, vec![0; usize::try_from(range.end - range.start).unwrap()].into());
                ranges.push(range);
            }
            assert!(cache.get(offset).is_some());
            assert!(cache.bytes <= KEPT);
            assert_eq!(cache.bytes, cache.pieces.values().map(|piece| piece.bytes.len()).sum::<usize>());
        }
        ranges
    }

    #[test]
    fn reading_on_takes_few_requests() {
        let ranges = fetched(256 << 20, (0..256 << 20).step_by(4096));
        assert!(ranges.len() < 45, "{} requests", ranges.len());
        assert!(ranges.is_sorted_by(|a, b| a.end == b.start), "each byte once");
    }

    #[test]
    fn a_jump_takes_little() {
        let ranges = fetched(1 << 40, (0..100).map(|jump| jump << 30));
        assert!(ranges.iter().all(|range| range.end - range.start == SMALLEST_PIECE));
    }

    #[test]
    fn what_was_fetched_is_not_fetched_again() {
        let at = 5 * SMALLEST_PIECE;
        let ranges = fetched(1 << 30, [at + 1, at + 60_000, at, 3 * SMALLEST_PIECE, 4 * SMALLEST_PIECE, at]);
        let starts: Vec<_> = ranges.iter().map(|range| range.start / SMALLEST_PIECE).collect();
        assert_eq!(starts, [5, 3, 4]);
        assert_eq!(ranges[2].end, at, "up to what is there");
    }

    #[test]
    fn what_is_asked_for_is_one_request() {
        let mut cache = Cache::default();
        assert_eq!(cache.wanted(SMALLEST_PIECE + 1, 200_000, 1 << 30), SMALLEST_PIECE..5 * SMALLEST_PIECE);
        assert_eq!(cache.wanted(1 << 30, 1 << 30, 1 << 40), 1 << 30..(1 << 30) + LARGEST_PIECE, "or several");
    }

    #[test]
    fn an_object_ends_where_it_ends() {
        assert_eq!(fetched(10, [9]).pop(), Some(0..10));
        let last = fetched(SMALLEST_PIECE + 3, [SMALLEST_PIECE + 2]).pop();
        assert_eq!(last, Some(SMALLEST_PIECE..SMALLEST_PIECE + 3));
    }
}
