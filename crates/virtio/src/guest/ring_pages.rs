//! The pages of RAM that rings live on: what a reader of device state needs of a guest's memory.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use vmstate::source::Source;
use vmstate::stream::Stream;

use super::decode::{Decoder, layout, machine, state_sections};
use super::memory::physical;
use crate::core::{Features, Ring};
use crate::loaded::Loaded;
use crate::memory::{Layout, MemoryError, RingMemory};

/// A target page of RAM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Page {
    /// The block, counted in the order of the stream's block list.
    pub block: usize,
    /// The page, counted from the start of the block.
    pub index: u64,
}

/// The pages that hold a part of a ring, or of the tables of the IOMMU through which a ring is reached.
///
/// # Errors
/// If it is not known where RAM lies.
pub fn ring_pages(stream: &Stream, source: &dyn Source) -> Result<BTreeSet<Page>, MemoryError> {
    let sections = state_sections(stream);
    let layout = layout(machine(stream).as_deref(), stream.ram.as_ref(), &sections);
    let physical = physical(stream.ram.as_ref(), &layout, source);
    let (layout, page_size) =
        (layout.as_ref().map_err(Clone::clone)?, stream.ram.as_ref().map_or(4096, |ram| ram.page_size));
    let recorder = Recorder { inner: physical.as_ref(), layout, page_size, pages: Mutex::default() };
    let decoder = Decoder::new(stream, &sections, &recorder);
    decoder.for_each_device(&sections, &mut |loaded, memory| read_rings(loaded, memory));
    Ok(recorder.pages.into_inner())
}

/// Reads all of a device's rings. What cannot be read is no page of the stream.
fn read_rings(loaded: &Loaded, memory: &dyn RingMemory) {
    let is_packed = loaded.features.has(Features::RING_PACKED);
    for ring in loaded.rings.iter().filter(|ring| ring.desc != 0) {
        for (address, length) in parts(ring, is_packed) {
            let mut buf = vec![0; length];
            let _ = memory.read(address, &mut buf);
        }
    }
}

/// Address and bytes of each part of a ring (virtio 1.3 §2.7, §2.8). No ring has more entries than fit
/// the 16 bits of an index.
fn parts(ring: &Ring, is_packed: bool) -> [(u64, usize); 3] {
    let size = usize::try_from(ring.size).unwrap_or(usize::MAX).min(1 << 16);
    let (avail, used) = if is_packed { (4, 4) } else { (6 + 2 * size, 6 + 8 * size) };
    [(ring.desc, 16 * size), (ring.avail, avail), (ring.used, used)]
}

/// Notes which pages are read.
struct Recorder<'a> {
    inner: &'a dyn RingMemory,
    layout: &'a Layout,
    page_size: u64,
    pages: Mutex<BTreeSet<Page>>,
}

impl RingMemory for Recorder<'_> {
    fn read(&self, address: u64, buf: &mut [u8]) -> Result<(), MemoryError> {
        let end = address.saturating_add(buf.len() as u64);
        let mut at = address;
        while at < end
            && let Some(region) = self.layout.at(at)
        {
            let length = region.length.min(end - at);
            let pages = region.offset / self.page_size..(region.offset + length).div_ceil(self.page_size);
            let mut noted = self.pages.lock();
            noted.extend(pages.map(|index| Page { block: region.block, index }));
            at = at.saturating_add(length);
        }
        self.inner.read(address, buf)
    }
}
