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
