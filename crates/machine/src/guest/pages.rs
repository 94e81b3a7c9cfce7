//! A workload that dirties memory: it goes over its pages again and again, and checks each before it writes to it.

use vm_memory::{Bytes, GuestAddress};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::boot::Booting;
use super::record::{check, record};
use super::{Cell, Fault};
use crate::ram::{Memory, PAGE_SIZE};

/// Bytes that are written to each page.
const LENGTH: usize = 64;

/// What the workload remembers.
#[derive(Debug, Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Pages {
    /// Guest address of the first page.
    base: u64,
    /// How many pages.
    count: u64,
    /// How many it writes to in a moment.
    each: u64,
    /// Writes so far: the next goes to the page of this number, counted round and round.
    pub written: u64,
    /// Pages that did not hold what was last written to them.
    pub bad: u64,
}

pub(super) fn set_up(booting: &mut Booting<'_>) -> Result<u64, Fault> {
    let (bytes, each) = (booting.options.dirty_bytes, booting.options.dirty_pages);
    let base = booting.allocate(bytes)?;
    booting.place(&Pages { base, count: bytes.div_ceil(PAGE_SIZE), each, written: 0, bad: 0 })
}

pub(super) fn step(cell: u64, memory: &Memory) -> Result<(), Fault> {
    if cell == 0 {
        return Ok(());
    }
    Cell::<Pages>::at(cell).update(memory, |pages| {
        for _ in 0..pages.each {
            pages.bad += u64::from(!pages.is_good(pages.written % pages.count, memory)?);
            let (at, page) = pages.page(pages.written % pages.count);
            let turn = pages.written / pages.count;
            memory.write_slice(&record(page, turn, LENGTH), at).map_err(|_| Fault::at(at.0))?;
            pages.written += 1;
        }
        Ok(())
    })
}

impl Pages {
    /// Where a page is, and what its records are called.
    fn page(&self, number: u64) -> (GuestAddress, u32) {
        (GuestAddress(self.base + number * PAGE_SIZE), u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// Whether a page holds what was last written to it.
    fn is_good(&self, number: u64, memory: &Memory) -> Result<bool, Fault> {
        let (turns, rest) = (self.written / self.count, self.written % self.count);
        let turn = if number < rest { Some(turns) } else { turns.checked_sub(1) };
        let (at, page) = self.page(number);
        let mut bytes = [0; LENGTH];
        memory.read_slice(&mut bytes, at).map_err(|_| Fault::at(at.0))?;
        Ok(match turn {
            None => bytes == [0; LENGTH],
            Some(turn) => check(&bytes).is_some_and(|head| head.number == turn && head.stream == page),
        })
    }

    /// Looks at all pages; gives how many do not hold what was last written to them.
    ///
    /// # Errors
    /// If they are not in memory.
    pub fn inspect(&self, memory: &Memory) -> Result<u64, Fault> {
        (0..self.count).try_fold(0, |bad, number| Ok(bad + u64::from(!self.is_good(number, memory)?)))
    }
}
