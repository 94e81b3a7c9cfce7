//! A place in a packed ring (virtio 1.3 §2.8.1): an index, and a counter that changes with each turn.

/// A descriptor's index with the wrap counter of the turn in which it is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The index, less than the ring's size.
    pub(super) index: u16,
    /// The wrap counter.
    pub(super) wrap: bool,
}

/// The wrap counter's bit where both are in sixteen bits (§2.8.10).
const WRAP: u16 = 1 << 15;

impl Cursor {
    /// The place from sixteen bits: bit 15 is the wrap counter.
    pub(super) fn from_bits(bits: u16) -> Self {
        Self { index: bits & !WRAP, wrap: bits & WRAP != 0 }
    }

    /// The place in sixteen bits: bit 15 is the wrap counter.
    pub(super) fn to_bits(self) -> u16 {
        self.index | if self.wrap { WRAP } else { 0 }
    }

    /// The place `count` further, which is at most the ring's size.
    pub(super) fn advanced(self, count: u16, size: u16) -> Self {
        let room = size - self.index;
        if count < room {
            Self { index: self.index + count, wrap: self.wrap }
        } else {
            Self { index: count - room, wrap: !self.wrap }
        }
    }

    /// The place `count` before, which is at most the ring's size.
    pub(super) fn rewound(self, count: u16, size: u16) -> Self {
        Self { index: self.index, wrap: !self.wrap }.advanced(size - count, size)
    }

    /// Descriptors from this place to the other. Two turns are told apart, and no more.
    pub(super) fn distance(self, to: Self, size: u16) -> u32 {
        let size = u32::from(size);
        let position = |at: Self| u32::from(at.index) + if at.wrap { 0 } else { size };
        (position(to) + 2 * size - position(self)) % (2 * size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_and_comes_back() {
        let size = 5;
        let start = Cursor { index: 3, wrap: true };
        for count in 0..=size {
            let there = start.advanced(count, size);
            assert_eq!(start.distance(there, size), u32::from(count));
            assert_eq!(there.rewound(count, size), start);
            assert_eq!(Cursor::from_bits(there.to_bits()), there);
        }
        assert_eq!(start.advanced(2, size), Cursor { index: 0, wrap: false });
        assert_eq!(start.advanced(5, size), Cursor { index: 3, wrap: false });
    }
}
