//! Whether a buffer is in guest memory: asked for each buffer of each chain.

use std::cell::Cell;

use vm_memory::{Address, GuestAddress, GuestMemory, GuestMemoryBackend, GuestMemoryRegion, Permissions};

/// Guest memory, and the region in which the last buffer was: the next is most likely there too.
#[derive(Debug)]
pub(super) struct Reach<'m, M> {
    pub(super) memory: &'m M,
    /// First and last address.
    region: Cell<(u64, u64)>,
}

impl<'m, M: GuestMemory> Reach<'m, M> {
    pub(super) fn new(memory: &'m M) -> Self {
        // Not a region: its first address is after its last.
        Self { memory, region: Cell::new((1, 0)) }
    }

    /// Whether `len` bytes at `address`, at least one, can be accessed.
    #[inline]
    pub(super) fn has(&self, address: u64, len: u64, access: Permissions) -> bool {
        let (first, last) = self.region.get();
        if address >= first && address <= last && len - 1 <= last - address {
            return true;
        }
        self.look_up(address, len, access)
    }

    /// Regions are known only where the device's addresses are physical: behind an IOMMU every access may
    /// have another outcome.
    fn look_up(&self, address: u64, len: u64, access: Permissions) -> bool {
        let at = GuestAddress(address);
        if let Some(region) = self.memory.physical_memory().and_then(|memory| memory.find_region(at)) {
            self.region.set((region.start_addr().raw_value(), region.last_addr().raw_value()));
        }
        usize::try_from(len).is_ok_and(|length| self.memory.check_range(at, length, access))
    }
}
