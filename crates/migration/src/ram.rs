//! Pages of the guest's RAM on their way: what arrives, and where it goes.

use std::io;

use vmstate::ram::PageAddress;

/// A page that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<'a> {
    /// Which one.
    pub at: PageAddress,
    /// What it holds.
    pub content: Content<'a>,
}

/// What a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// Its bytes, as many as a target page has.
    Data(&'a [u8]),
    /// Zeros.
    Zero,
    /// Changes to what it held (XBZRLE).
    Changes(&'a [u8]),
}

/// Where pages go. A page that comes again replaces what it was.
///
/// Pages of one call, and of calls one after the other, come in order.
pub trait RamSink: Sync {
    /// Takes pages. Each is of a block in the block list, and lies within it.
    ///
    /// # Errors
    /// If they cannot be kept, or changes do not fit the page.
    fn pages(&self, pages: &[Page<'_>]) -> io::Result<()>;
}

/// Takes pages, and keeps none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nowhere;

impl RamSink for Nowhere {
    fn pages(&self, _: &[Page<'_>]) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a page has nothing but zeros.
#[must_use]
pub fn is_zero(page: &[u8]) -> bool {
    // Without a branch for each byte: many are looked at in one instruction.
    let nothing = |bytes: &[u8]| bytes.iter().fold(0, |all, byte| all | byte) == 0;
    // Most pages that are not zero show it at their start.
    let (head, rest) = page.split_at(page.len().min(64));
    nothing(head) && rest.chunks(256).all(nothing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_pages_of_zeros() {
        let mut page = vec![0; 4096];
        assert!(is_zero(&page));
        for at in [0, 63, 64, 2000, 4095] {
            page[at] = 1;
            assert!(!is_zero(&page), "byte {at}");
            page[at] = 0;
        }
    }
}
