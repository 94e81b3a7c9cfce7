//! Page tables: first-stage (§3.6, §9.7) and second-stage (§3.7, §9.8).
//!
//! Both have 512 entries of 8 bytes at each level, and pages of 4 KiB, 2 MiB and 1 GiB; what differs
//! are the bits that allow reading, and the addresses there can be.

use crate::memory::{MemoryError, RingMemory};

/// A page table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Paging {
    /// Address of its top level.
    pub(super) table: u64,
    /// Levels: 3 to 5.
    pub(super) levels: u32,
    pub(super) stage: Stage,
}

/// Which of the two formats a table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// That of the processor's page tables; a user may not read what is the supervisor's.
    First { user: bool },
    /// One with a bit that allows reading.
    Second,
}

const PRESENT: u64 = 1 << 0;
const USER: u64 = 1 << 2;
const READ: u64 = 1 << 0;
const PAGE_SIZE: u64 = 1 << 7;
/// Bits 51:12.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// The highest level at which an entry can map a page, of 1 GiB.
const LARGEST_PAGE_LEVEL: u32 = 3;

impl Paging {
    /// Translates an address: what it is translated to, and how many bytes there are from there to the
    /// end of the page.
    pub(super) fn walk(&self, memory: &dyn RingMemory, address: u64) -> Result<(u64, u64), MemoryError> {
        let fault = || MemoryError::Fault { address };
        if !self.stage.has(address, 12 + 9 * self.levels) {
            return Err(fault());
        }
        let mut table = self.table;
        for level in (1..=self.levels).rev() {
            let shift = 12 + 9 * (level - 1);
            let entry = match entry(memory, table, address >> shift & 0x1ff) {
                // A table that is not in memory maps nothing.
                Err(MemoryError::Unmapped { .. } | MemoryError::Fault { .. }) => return Err(fault()),
                other => other?,
            };
            if !self.stage.readable(entry) {
                return Err(fault());
            }
            let page = level == 1 || entry & PAGE_SIZE != 0;
            if page && level > LARGEST_PAGE_LEVEL {
                return Err(fault());
            }
            if page {
                let size = 1_u64 << shift;
                let within = address & (size - 1);
                return Ok((entry & ADDRESS & !(size - 1) | within, size - within));
            }
            table = entry & ADDRESS;
        }
        Err(fault())
    }
}

impl Stage {
    /// Whether there is such an address where addresses have `bits` bits.
    fn has(self, address: u64, bits: u32) -> bool {
        match self {
            // Canonical: the bits above are all like the highest.
            Self::First { .. } => matches!(address.cast_signed() >> (bits - 1), 0 | -1),
            Self::Second => address >> bits == 0,
        }
    }

    /// Whether what an entry leads to may be read (§3.6.1, §3.7.1).
    fn readable(self, entry: u64) -> bool {
        match self {
            Self::First { user } => entry & PRESENT != 0 && (!user || entry & USER != 0),
            Self::Second => entry & READ != 0,
        }
    }
}

/// Reads a word of a table.
pub(super) fn entry(memory: &dyn RingMemory, table: u64, index: u64) -> Result<u64, MemoryError> {
    let address = table.checked_add(index * 8).ok_or(MemoryError::Unmapped { address: table })?;
    let mut word = [0; 8];
    memory.read(address, &mut word)?;
    Ok(u64::from_le_bytes(word))
}
