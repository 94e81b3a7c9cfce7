//! The block list: which pieces of RAM the machine has.

use crate::error::{ErrorKind, Result};
use crate::reader::Reader;
use crate::writer::Writer;

use super::record::is_head;

/// A piece of the guest's RAM, of its firmware or of a device (QEMU: `RAMBlock`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Block {
    /// Its name: `pc.ram`, `/rom@etc/acpi/tables`, `0000:00:02.0/vga.vram`, ….
    pub name: String,
    /// Bytes in use.
    pub bytes: u64,
    /// Bytes of the pages the host backs it with, where the stream says so (post-copy, huge pages).
    pub page_size: Option<u64>,
    /// Its guest-physical address, where the stream says so (`x-ignore-shared`).
    pub address: Option<u64>,
    /// Where its pages lie in the file (`mapped-ram`).
    pub mapped: Option<Mapped>,
}

/// Where the pages of a block of a mapped-ram stream lie, in bytes from the start of the file: for a
/// stream behind a header that is [`Source::origin`](crate::source::Source::origin) bytes before the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapped {
    /// Bytes of a target page.
    pub page_size: u64,
    /// The bitmap: a bit for each page, set if the page is there, in words of 64 bits as the host that
    /// wrote them keeps them; all that do so far are little-endian.
    pub bitmap_offset: u64,
    /// The pages, each at its own place.
    pub pages_offset: u64,
}

/// What the block list holds beside names and lengths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Layout {
    /// Addresses: the capability `x-ignore-shared` is on.
    pub addresses: bool,
    /// Headers of mapped blocks: the capability `mapped-ram` is on.
    pub mapped: bool,
    /// Perhaps page sizes: post-copy was announced (`POSTCOPY_ADVISE`).
    pub postcopy: bool,
}

const MAPPED_VERSION: u32 = 1;
/// Bytes of a [`Mapped`] in the stream.
const MAPPED_BYTES: usize = 28;

impl Block {
    /// A block of which no more is known.
    #[must_use]
    pub fn new(name: &str, bytes: u64) -> Self {
        Self { name: name.to_owned(), bytes, ..Self::default() }
    }

    /// Reads an entry of the block list, of which `unlisted` bytes of RAM are still to come.
    pub(super) fn load(
        input: &mut Reader<'_>,
        layout: &Layout,
        unlisted: u64,
        page_size: u64,
    ) -> Result<Self> {
        let name = input.name()?.to_owned();
        let in_block = |error: crate::Error| error.in_field(format!("block {name}"));
        let bytes = input.u64().map_err(in_block)?;
        let has_page_size =
            layout.postcopy && has_page_size(input, layout, bytes < unlisted, page_size).map_err(in_block)?;
        let mut integer = |there: bool| there.then(|| input.u64()).transpose().map_err(in_block);
        let host_page_size = integer(has_page_size)?;
        let address = integer(layout.addresses)?;
        let mapped = layout.mapped.then(|| Mapped::load(input, page_size)).transpose().map_err(in_block)?;
        Ok(Self { name, bytes, page_size: host_page_size, address, mapped })
    }

    /// Writes its entry of the block list.
    pub fn save(&self, out: &mut Writer) {
        out.name(&self.name);
        out.u64(self.bytes);
        for integer in [self.page_size, self.address].into_iter().flatten() {
            out.u64(integer);
        }
        if let Some(mapped) = &self.mapped {
            mapped.save(out);
        }
    }
}

/// Whether the entry says the page size of the host. It does where that is not the usual one, and only
/// the two hosts know which is; but what follows the entry shows it. An entry begins with a length that
/// is not 0, and a record with flags in its low bits; a page size, or the address after it, has neither.
fn has_page_size(input: &Reader<'_>, layout: &Layout, another_block: bool, page_size: u64) -> Result<bool> {
    let mut ahead = input.clone();
    if layout.addresses {
        ahead.u64()?;
    }
    if layout.mapped {
        ahead.bytes(MAPPED_BYTES)?;
    }
    Ok(if another_block { ahead.u8()? == 0 } else { !is_head(ahead.u64()?, page_size) })
}

impl Mapped {
    fn load(input: &mut Reader<'_>, expected: u64) -> Result<Self> {
        let at = input.clone();
        let version = input.u32()?;
        if version != MAPPED_VERSION {
            let (found, minimum) = (version, MAPPED_VERSION);
            return Err(at.fail(ErrorKind::Version { found, minimum, version: MAPPED_VERSION }));
        }
        let at = input.clone();
        let page_size = input.u64()?;
        if page_size != expected {
            let (found, expected) = (page_size.to_string(), expected.to_string());
            return Err(at.fail(ErrorKind::NotEqual { found, expected }).in_field("page_size"));
        }
        Ok(Self { page_size, bitmap_offset: input.u64()?, pages_offset: input.u64()? })
    }

    fn save(&self, out: &mut Writer) {
        out.u32(MAPPED_VERSION);
        out.u64(self.page_size);
        out.u64(self.bitmap_offset);
        out.u64(self.pages_offset);
    }

    /// The same places, in bytes from the start of a stream that starts at `origin`; `None` if they lie
    /// before it.
    pub(super) fn in_stream(&self, origin: u64) -> Option<Self> {
        Some(Self {
            page_size: self.page_size,
            bitmap_offset: self.bitmap_offset.checked_sub(origin)?,
            pages_offset: self.pages_offset.checked_sub(origin)?,
        })
    }
}
