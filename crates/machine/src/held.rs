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

#[cfg(test)]
mod tests {
    use migration::incoming::Sink;
    use migration::keep::{Mapped as Keep, MappedRam};
    use vm_memory::Bytes;
    use vmstate::ram::Block;
    use vmstate::source::FileSource;
    use vmstate::stream::{Configuration, Head, Kind, Stream};

    use super::*;

    const BASE: u64 = 0x4000_0000;

    /// RAM of an arm guest, 16 pages of zeros, as it is held.
    fn held() -> FileSource {
        let ram = MappedRam::new(tempfile::tempfile().unwrap());
        let mut keep = Keep::new(&ram);
        let name = b"virt-10.0".to_vec();
        keep.start(Some(&Configuration { len: 9, name, ..Configuration::default() })).unwrap();
        let head =
            Head::Section { kind: Kind::Start, id: 2, name: "ram".to_owned(), instance: 0, version: 4 };
        keep.blocks(&head, &[Block::new("mach-virt.ram", 16 * PAGE_SIZE)], PAGE_SIZE).unwrap();
        FileSource::new(ram.file().try_clone().unwrap()).unwrap()
    }

    #[test]
    fn what_is_written_is_there_when_it_is_scanned_again() {
        let source = held();
        let scan = || Stream::scan(&source, &mut |_| {}).stream.ram.unwrap();
        let ram = scan();
        let layout = Layout::for_ram("virt-10.0", &ram).unwrap();
        let held = HeldRam::map(&layout, &ram, source.file().try_clone().unwrap()).unwrap();
        held.memory().write_slice(&[7; 2], GuestAddress(BASE + 10 * PAGE_SIZE - 1)).unwrap();
        held.keep().unwrap();
        let after = scan();
        assert_eq!((ram.normal, after.normal), (0, 2));
        let mut found = [0; 4];
        after.read(&source, 0, 10 * PAGE_SIZE - 2, &mut found).unwrap();
        assert_eq!(found, [0, 7, 7, 0]);
    }

    #[test]
    fn a_stream_without_places_is_not_mapped() {
        let source = held();
        let mut ram = Stream::scan(&source, &mut |_| {}).stream.ram.unwrap();
        let layout = Layout::for_ram("virt-10.0", &ram).unwrap();
        ram.blocks[0].mapped = None;
        let error = HeldRam::map(&layout, &ram, source.file().try_clone().unwrap()).unwrap_err();
        let expected = "guest memory at 0x40000000 cannot be mapped: its pages have no places of their own";
        assert_eq!(error.to_string(), expected);
    }
}
