//! From a device to its address space: root table, context table, and in scalable mode the PASID
//! directory and table (§3.4, §9.1–9.6).

use super::paging::{Paging, Stage, entry};
use crate::iommu::{Bdf, Translate};
use crate::memory::{MemoryError, RingMemory};

/// What kind of tables there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Legacy (§3.4.2).
    Legacy,
    /// Scalable (§3.4.3).
    Scalable,
    /// None: nothing may be read (§3.4.4).
    Abort,
}

/// What a device's addresses mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AddressSpace {
    /// Translation is off: they are guest-physical.
    Disabled,
    /// They mean nothing.
    Blocked,
    /// They are guest-physical. (The width that an entry says then has no effect: QEMU ignores it.)
    PassThrough,
    /// A page table.
    Paged(Paging),
    /// A first-stage table whose addresses, its own among them, a second-stage table translates (§3.8).
    Nested { first: Paging, second: Paging },
}

/// Bits 63:12: the address in every table entry.
const POINTER: u64 = !0xfff;

/// Follows the tables.
pub(super) fn find(
    memory: &dyn RingMemory,
    root: u64,
    mode: Mode,
    requester: Bdf,
) -> Result<AddressSpace, MemoryError> {
    if mode != Mode::Abort && is_blank(memory, root) {
        let reason =
            "the IOMMU is on and its root table is all zero: this stream was reduced without it in view";
        return Err(MemoryError::Unknown { reason: reason.to_owned() });
    }
    let found = match mode {
        Mode::Legacy => legacy(memory, root, requester)?,
        Mode::Scalable => scalable(memory, root, requester)?,
        Mode::Abort => None,
    };
    Ok(found.unwrap_or(AddressSpace::Blocked))
}

/// Whether no device on any bus could use memory: a guest that turns translation on does so for some.
fn is_blank(memory: &dyn RingMemory, root: u64) -> bool {
    let mut table = [0; 4096];
    memory.read(root & POINTER, &mut table).is_ok() && table.iter().all(|&byte| byte == 0)
}

/// An address space, or nothing if an entry is not present or says what is reserved.
type Found = Result<Option<AddressSpace>, MemoryError>;

fn legacy(memory: &dyn RingMemory, root: u64, requester: Bdf) -> Found {
    let (bus, devfn) = (u64::from(requester.bus()), u64::from(requester.devfn()));
    let Some([root_entry, _]) = present(memory, root, bus)? else { return Ok(None) };
    let Some([low, high]) = present(memory, root_entry, devfn)? else { return Ok(None) };
    let width = high & 7;
    Ok(match low >> 2 & 3 {
        // Translation type 1 lets the device ask for translations as well.
        0b00 | 0b01 => second_stage(low, width).map(AddressSpace::Paged),
        0b10 => Some(AddressSpace::PassThrough),
        _ => None,
    })
}

fn scalable(memory: &dyn RingMemory, root: u64, requester: Bdf) -> Found {
    let (bus, devfn) = (u64::from(requester.bus()), u64::from(requester.devfn()));
    // A root entry has two halves, each with a context table for half of the devices.
    let Some([root_half]) = present(memory, root, bus << 1 | devfn >> 7)? else { return Ok(None) };
    let Some([low, high, _, _]) = present(memory, root_half, devfn & 0x7f)? else { return Ok(None) };
    let directory_entries = 1 << ((low >> 9 & 7) + 7);
    // A virtio device says no PASID; the context entry has one for such devices.
    let (pasid, privileged) = (high & 0xf_ffff, high >> 20 & 1 == 1);
    if pasid >> 6 >= directory_entries {
        return Ok(None);
    }
    let Some([directory_entry]) = present(memory, low, pasid >> 6)? else { return Ok(None) };
    let Some(entry) = present(memory, directory_entry, pasid & 0x3f)? else { return Ok(None) };
    Ok(pasid_space(entry, privileged))
}

/// What an entry of the PASID table says (§9.6).
fn pasid_space([low, _, first, _, _, _, _, _]: [u64; 8], privileged: bool) -> Option<AddressSpace> {
    let width = low >> 2 & 7;
    match low >> 6 & 7 {
        0b001 => first_stage(first, privileged).map(AddressSpace::Paged),
        0b010 => second_stage(low, width).map(AddressSpace::Paged),
        0b011 => Some(AddressSpace::Nested {
            first: first_stage(first, privileged)?,
            second: second_stage(low, width)?,
        }),
        0b100 => Some(AddressSpace::PassThrough),
        _ => None,
    }
}

fn first_stage(word: u64, privileged: bool) -> Option<Paging> {
    let levels = match word >> 2 & 3 {
        0b00 => 4,
        0b01 => 5,
        _ => return None,
    };
    // Privileged requests must be enabled (field SRE).
    let allowed = !privileged || word & 1 == 1;
    allowed.then_some(Paging { table: word & POINTER, levels, stage: Stage::First { user: !privileged } })
}

fn second_stage(word: u64, width: u64) -> Option<Paging> {
    let levels = second_stage_levels(width)?;
    Some(Paging { table: word & POINTER, levels, stage: Stage::Second })
}

/// Field AW of context and PASID entries: levels of the second-stage table.
fn second_stage_levels(width: u64) -> Option<u32> {
    match width {
        0b001 => Some(3),
        0b010 => Some(4),
        0b011 => Some(5),
        _ => None,
    }
}

/// Entry `index`, of `N` words, of the table that another entry points to; if it is present (bit 0).
fn present<const N: usize>(
    memory: &dyn RingMemory,
    pointer: u64,
    index: u64,
) -> Result<Option<[u64; N]>, MemoryError> {
    let table = pointer & POINTER;
    let mut words = [0; N];
    for (at, word) in (index * N as u64..).zip(&mut words) {
        match entry(memory, table, at) {
            Ok(value) => *word = value,
            // A table that is not in memory has nothing present.
            Err(MemoryError::Unmapped { .. } | MemoryError::Fault { .. }) => return Ok(None),
            Err(error @ MemoryError::Unknown { .. }) => return Err(error),
        }
    }
    Ok(Some(words).filter(|words| words.first().is_some_and(|word| word & 1 == 1)))
}

impl AddressSpace {
    /// Translates an address: the guest-physical one, and how many bytes follow it without a break.
    pub(super) fn translate(&self, memory: &dyn RingMemory, iova: u64) -> Result<(u64, u64), MemoryError> {
        let fault = || MemoryError::Fault { address: iova };
        match self {
            Self::Disabled | Self::PassThrough => Ok((iova, u64::MAX)),
            Self::Blocked => Err(fault()),
            Self::Paged(paging) => paging.walk(memory, iova),
            Self::Nested { first, second } => {
                let second = SecondStage { memory, paging: second };
                let through_second = crate::iommu::IommuMemory::new(memory, &second);
                let (address, contiguous) = first.walk(&through_second, iova)?;
                // Whichever stage faults: it is the device's address that cannot be read.
                second.translate(address, contiguous).map_err(|error| match error {
                    MemoryError::Fault { .. } => fault(),
                    other => other,
                })
            }
        }
    }
}

/// The second stage alone, which the first stage reads its own tables through.
struct SecondStage<'a> {
    memory: &'a dyn RingMemory,
    paging: &'a Paging,
}

impl Translate for SecondStage<'_> {
    fn translate(&self, address: u64, length: u64) -> Result<(u64, u64), MemoryError> {
        let (gpa, contiguous) = self.paging.walk(self.memory, address)?;
        Ok((gpa, contiguous.min(length)))
    }
}
