//! Guest memory out of a stream: its RAM, at the addresses a [`Layout`] gives it.

use std::fmt;

use vmstate::ram::{Ram, ReadError};
use vmstate::source::Source;

use super::{Layout, MemoryError, RingMemory};

/// The RAM of a stream, by guest-physical address.
///
/// Pages are read from the source as they are asked for. A page that the stream lacks is
/// [`MemoryError::Unknown`]: with multifd all do, since they went over channels of their own.
#[derive(Clone, Copy)]
pub struct StreamMemory<'a> {
    ram: &'a Ram,
    source: &'a dyn Source,
    layout: &'a Layout,
}

impl<'a> StreamMemory<'a> {
    /// Memory of `ram`, which was found by scanning `source`.
    #[must_use]
    pub fn new(ram: &'a Ram, source: &'a dyn Source, layout: &'a Layout) -> Self {
        Self { ram, source, layout }
    }

    fn unknown(&self, error: &ReadError) -> MemoryError {
        let reason = match error {
            ReadError::Absent { .. } if self.ram.multifd => {
                format!("{error}: RAM went over other channels (multifd)")
            }
            _ => error.to_string(),
        };
        MemoryError::Unknown { reason }
    }
}

impl fmt::Debug for StreamMemory<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamMemory").field("layout", self.layout).finish_non_exhaustive()
    }
}

impl RingMemory for StreamMemory<'_> {
    fn read(&self, address: u64, buf: &mut [u8]) -> Result<(), MemoryError> {
        let mut address = address;
        let mut rest = buf;
        while !rest.is_empty() {
            let region = self.layout.at(address).ok_or(MemoryError::Unmapped { address })?;
            let length = usize::try_from(region.length).unwrap_or(usize::MAX).min(rest.len());
            let (part, tail) = rest.split_at_mut(length);
            self.ram
                .read(self.source, region.block, region.offset, part)
                .map_err(|error| self.unknown(&error))?;
            address += length as u64; // a region ends within the address space
            rest = tail;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use vmstate::Writer;
    use vmstate::stream::Stream;

    use super::*;

    const PAGE: u64 = 4096;
    const BASE: u64 = 0x4000_0000;

    /// A stream of an arm guest with two NUMA nodes of two pages each, of which some are in it.
    fn stream(pages: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut out = Writer::new();
        out.bytes(b"QEVM\0\0\0\x03\x07");
        out.u32(9);
        out.bytes(b"virt-10.0");
        out.u8(1); // SECTION_START
        out.u32(2);
        out.name("ram");
        out.u32(0);
        out.u32(4);
        out.u64((4 * PAGE) | 0x04); // MEM_SIZE
        for name in ["ram-node0", "ram-node1"] {
            out.name(name);
            out.u64(2 * PAGE);
        }
        pages(&mut out);
        out.u64(0x10); // EOS
        out.bytes(&[0x7e, 0, 0, 0, 2, 0]);
        out.into_bytes()
    }

    /// A page of one byte over and over.
    fn page(out: &mut Writer, block: &str, offset: u64, byte: u8) {
        out.u64(offset | 0x08); // PAGE
        out.name(block);
        out.bytes(&[byte; 4096]);
    }

    fn read(stream: &[u8], address: u64, length: usize) -> Result<Vec<u8>, MemoryError> {
        let scan = Stream::scan(&stream, &mut |_| {});
        assert!(scan.stopped.is_none(), "{:?}", scan.stopped);
        let ram = scan.stream.ram.unwrap();
        let layout = Layout::for_ram(&scan.stream.configuration.unwrap().machine(), &ram)?;
        let mut buf = vec![0xff; length];
        StreamMemory::new(&ram, &stream, &layout).read(address, &mut buf)?;
        Ok(buf)
    }

    #[test]
    fn reads_across_pages_and_regions() {
        let stream = stream(|out| {
            page(out, "ram-node0", PAGE, 1);
            page(out, "ram-node1", 0, 2);
            out.u64(PAGE | 0x22); // ZERO, CONTINUE
            out.u8(0);
        });
        let bytes = read(&stream, BASE + 2 * PAGE - 2, 4096 + 4).unwrap();
        assert!(bytes.starts_with(&[1, 1, 2, 2]) && bytes.ends_with(&[2, 2, 0, 0]));
        assert_eq!(read(&stream, BASE + 4 * PAGE - 1, 1).unwrap(), [0]);
    }

    #[test]
    fn says_where_memory_ends() {
        let stream = stream(|out| page(out, "ram-node1", PAGE, 3));
        let end = BASE + 4 * PAGE;
        assert_eq!(read(&stream, end - 1, 2), Err(MemoryError::Unmapped { address: end }));
        assert_eq!(read(&stream, 0, 1), Err(MemoryError::Unmapped { address: 0 }));
        assert_eq!(read(&stream, u64::MAX, 2), Err(MemoryError::Unmapped { address: u64::MAX }));
        assert_eq!(read(&stream, u64::MAX, 0), Ok(vec![]));
    }

    #[test]
    fn what_is_not_in_the_stream_is_not_known() {
        let reason = |stream: &[u8]| match read(stream, BASE + 1, 1) {
            Err(MemoryError::Unknown { reason }) => reason,
            other => panic!("{other:?}"),
        };
        let cut = reason(&stream(|_| {}));
        assert!(cut.contains("page at 0x0 of block `ram-node0`") && !cut.contains("multifd"), "{cut}");
        let multifd = reason(&stream(|out| out.u64(0x200))); // MULTIFD_FLUSH
        assert!(multifd.contains("multifd"), "{multifd}");
    }
}
