//! The machine's RAM: one piece of anonymous, shareable memory, with a bit for each page that was written.
//!
//! Guest and devices write through [`vm_memory`], which sets the bits: what a migration has to send again is what is
//! set. Bits are set after the write, and a page is read after its bit was cleared: no write is missed.

use std::fs::File;
use std::ops::Deref;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, ftruncate, memfd_create};
use virtio::device::balloon::Ballooned;
use vm_memory::bitmap::AtomicBitmap;
use vm_memory::{Bytes, FileOffset, GuestAddress, GuestMemoryMmap, GuestRegionMmap, MmapRegion};

use crate::userfault::Userfault;

/// Guest memory with dirty bits.
pub type Memory = GuestMemoryMmap<AtomicBitmap>;

/// Bytes of a page, to which dirty bits and the stream's RAM records refer.
pub const PAGE_SIZE: u64 = PAGE as u64;
/// The same, as the size of an array.
pub const PAGE: usize = 4096;

/// RAM of a machine: from guest address 0 on.
#[derive(Debug, Clone)]
pub struct Ram {
    memory: Memory,
    region: Arc<GuestRegionMmap<AtomicBitmap>>,
    bytes: u64,
}

/// RAM that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("{bytes} bytes of RAM cannot be had: {reason}")]
pub struct NoRam {
    bytes: u64,
    reason: String,
}

impl Ram {
    /// So many bytes of RAM, all zero; rounded up to whole pages.
    ///
    /// # Errors
    /// If the operating system does not give so much.
    pub fn new(bytes: u64) -> Result<Self, NoRam> {
        let bytes = bytes.next_multiple_of(PAGE_SIZE);
        let failed = |reason: &dyn ToString| NoRam { bytes, reason: reason.to_string() };
        let file = memfd_create("vmig-ram", MemfdFlags::CLOEXEC).map_err(|error| failed(&error))?;
        ftruncate(&file, bytes).map_err(|error| failed(&error))?;
        let size = usize::try_from(bytes).map_err(|error| failed(&error))?;
        let mapping = MmapRegion::from_file(FileOffset::new(File::from(file), 0), size);
        let mapping = mapping.map_err(|error| failed(&error))?;
        let region = GuestRegionMmap::new(mapping, GuestAddress(0));
        let region = Arc::new(region.ok_or_else(|| failed(&"it does not fit the address space"))?);
        let memory = GuestMemoryMmap::from_arc_regions(vec![Arc::clone(&region)]);
        Ok(Self { memory: memory.map_err(|error| failed(&error))?, region, bytes })
    }

    /// The memory, for devices and guest.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Bytes of it.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes the dirty bits: a bit for each page written since the last time, lowest first, and all are clear.
    #[must_use]
    pub fn take_dirty(&self) -> Vec<u64> {
        self.region.bitmap().get_and_reset()
    }

    /// Reads pages.
    ///
    /// # Errors
    /// If there are none so far up.
    pub fn read(&self, offset: u64, bytes: &mut [u8]) -> std::io::Result<()> {
        self.memory.read_slice(bytes, GuestAddress(offset)).map_err(std::io::Error::other)
    }

    /// Makes a page that arrived zero. One that is already is only read: that puts it there, so that it is not missing in
    /// post-copy, and not dirty.
    ///
    /// # Errors
    /// If there is none so far up.
    pub fn clear(&self, offset: u64) -> std::io::Result<()> {
        let zeros = [0; PAGE];
        let mut found = zeros;
        self.read(offset, &mut found)?;
        if found == zeros { Ok(()) } else { self.write(offset, &zeros) }
    }

    /// Takes pages away: they are zero until they are written again, or, if they come late, missing.
    ///
    /// # Errors
    /// If there are none so far up.
    pub fn discard(&self, offset: u64, bytes: u64) -> std::io::Result<()> {
        let end = offset.checked_add(bytes).filter(|&end| end <= self.bytes);
        let (Some(_), Some(place)) = (end, self.region.deref().file_offset()) else {
            let text = format!("no {bytes:#x} bytes at {offset:#x}: RAM has {:#x}", self.bytes);
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, text));
        };
        let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        Ok(fallocate(place.file(), mode, place.start() + offset, bytes)?)
    }

    /// What makes pages that are missing fault.
    ///
    /// # Errors
    /// If the system does not allow that.
    pub(crate) fn userfault(&self) -> std::io::Result<Userfault> {
        Userfault::new(Arc::clone(&self.region))
    }

    /// Writes pages that arrived.
    ///
    /// # Errors
    /// If there are none so far up.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
        self.memory.write_slice(bytes, GuestAddress(offset)).map_err(std::io::Error::other)
    }
}

/// What the guest gives to a balloon is gone.
impl Ballooned for Ram {
    fn given(&mut self, address: u64, _: u64) {
        // What is not RAM is not the guest's to give.
        drop(self.clear(address));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_dirty_once() {
        let ram = Ram::new(1 << 20).unwrap();
        let _ = ram.take_dirty();
        ram.memory().write_slice(&[1; 2], GuestAddress(0x1fff)).unwrap();
        assert_eq!(ram.take_dirty()[0], 0b110);
        assert!(ram.take_dirty().iter().all(|&word| word == 0));
    }
}
