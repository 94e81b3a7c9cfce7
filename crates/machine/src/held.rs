//! The RAM of a guest that is held, mapped from the file in which it lies, so that devices work in it as in the RAM of
//! a machine that runs.
//!
//! The file is a `mapped-ram` stream: each page has its place, pages of zeros are holes, and a bitmap says which are
//! there. Nothing is copied; pages that were holes and are written get their bit.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use virtio::memory::Layout;
use vm_memory::bitmap::{AtomicBitmap, Bitmap};
use vm_memory::{FileOffset, GuestAddress, GuestMemoryMmap, GuestMemoryRegion, GuestRegionMmap, MmapRegion};
use vmstate::ram::{Mapped, Ram};

use crate::ram::{Memory, PAGE_SIZE};

/// The RAM of a guest that is held.
#[derive(Debug)]
pub struct HeldRam {
    memory: Memory,
    pieces: Vec<Piece>,
    file: Arc<File>,
}

/// A piece of a block, where the guest has it.
#[derive(Debug)]
struct Piece {
    region: Arc<GuestRegionMmap<AtomicBitmap>>,
    /// Bytes from the start of the block to its first.
    offset: u64,
    block: Mapped,
}

/// RAM that cannot be mapped.
#[derive(Debug, thiserror::Error)]
#[error("guest memory at {address:#x} cannot be mapped: {reason}")]
pub struct NotMapped {
    address: u64,
    reason: String,
}

impl HeldRam {
    /// Maps RAM as its machine lays it out. `ram` was found by scanning `file`, of which nobody else makes use: what
    /// is written to the memory is written there.
    ///
    /// # Errors
    /// If `file` is no `mapped-ram` stream with all its pages, or the operating system does not map it.
    pub fn map(layout: &Layout, ram: &Ram, file: File) -> Result<Self, NotMapped> {
        let file = Arc::new(file);
        let mut pieces = Vec::new();
        for place in layout.regions() {
            let failed = |reason: &dyn ToString| NotMapped { address: place.gpa, reason: reason.to_string() };
            let block = ram.blocks.get(place.block).and_then(|block| block.mapped);
            let block = block.ok_or_else(|| failed(&"its pages have no places of their own"))?;
            let start = block.pages_offset.checked_add(place.offset);
            let start = start.ok_or_else(|| failed(&"its pages lie beyond any file"))?;
            let size = usize::try_from(place.length).map_err(|error| failed(&error))?;
            let mapping = MmapRegion::from_file(FileOffset::from_arc(Arc::clone(&file), start), size);
            let mapping = mapping.map_err(|error| failed(&error))?;
            let region = GuestRegionMmap::new(mapping, GuestAddress(place.gpa));
            let region = Arc::new(region.ok_or_else(|| failed(&"it does not fit the address space"))?);
            pieces.push(Piece { region, offset: place.offset, block });
        }
        let regions = pieces.iter().map(|piece| Arc::clone(&piece.region)).collect();
        let memory = GuestMemoryMmap::from_arc_regions(regions)
            .map_err(|error| NotMapped { address: 0, reason: error.to_string() })?;
        Ok(Self { memory, pieces, file })
    }

    /// The memory, for devices.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Notes in the file that the pages that were written are there. The file has to be scanned again then.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn keep(&self) -> io::Result<()> {
        for Piece { region, offset, block } in &self.pieces {
            for at in (0..region.len()).step_by(usize::try_from(PAGE_SIZE).unwrap_or(usize::MAX)) {
                if region.bitmap().dirty_at(usize::try_from(at).unwrap_or(usize::MAX)) {
                    self.note(block, (offset + at) / block.page_size)?;
                }
            }
        }
        Ok(())
    }

    /// Sets the bit of a page.
    fn note(&self, block: &Mapped, page: u64) -> io::Result<()> {
        // Words of 64 bits, little-endian: bit by bit, byte by byte.
        let place = block.bitmap_offset.saturating_add(page / 8);
        let mut byte = [0];
        self.file.read_exact_at(&mut byte, place)?;
        self.file.write_all_at(&byte.map(|byte| byte | 1 << (page % 8)), place)
    }
}
