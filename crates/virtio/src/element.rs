//! An element in flight: a request that the device had taken and not returned.
//!
//! QEMU writes it as an image of a fixed C struct in the memory of its host (LP64): so not big-endian,
//! with padding, with room for 1,024 addresses in each direction, and with pointers, which are zero. A
//! device that offers `RING_PACKED` writes the number of descriptors before it.

use serde::{Deserialize, Serialize};
use vmstate::{ErrorKind, Reader, Result, Writer};

use crate::core::{Endianness, VIRTIO_QUEUE_MAX};
use crate::shape::{Switch, Switches};

/// Buffers an element has room for in each direction.
const MAX_BUFFERS: u32 = 1024;

/// A request taken from a queue: where its buffers are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Element {
    /// The element's first descriptor.
    pub index: u32,
    /// Descriptors the element takes in a packed ring; there if the device offers `RING_PACKED`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ndescs: Option<u32>,
    /// Buffers the device reads.
    pub out_sg: Vec<Buffer>,
    /// Buffers the device writes.
    pub in_sg: Vec<Buffer>,
    /// The byte order of the host that wrote the image.
    #[serde(default, skip_serializing_if = "HostOrder::is_usual")]
    pub host: HostOrder,
}

/// A buffer of guest memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buffer {
    /// Guest address.
    #[serde(with = "crate::address")]
    pub addr: u64,
    /// Bytes.
    pub len: u64,
}

/// The byte order of a host; most are little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostOrder(pub Endianness);

impl Default for HostOrder {
    fn default() -> Self {
        Self(Endianness::Little)
    }
}

impl HostOrder {
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

impl From<Switches> for HostOrder {
    fn from(switches: Switches) -> Self {
        Self(if switches.has(Switch::BigEndianHost) { Endianness::Big } else { Endianness::Little })
    }
}

impl Element {
    /// Bytes of the image.
    pub const IMAGE_SIZE: usize = 16 + 1024 * (8 + 8 + 16 + 16);

    /// Reads an element of a device with these properties.
    ///
    /// # Errors
    /// If the input ends early or the element has more buffers than there is room for.
    pub fn load(input: &mut Reader<'_>, switches: Switches) -> Result<Self> {
        let host = HostOrder::from(switches);
        let ndescs = switches.has(Switch::Packed).then(|| input.u32()).transpose();
        let ndescs = ndescs.map_err(|e| e.in_field("ndescs"))?;
        let at_image = input.clone();
        let mut image = Image { input: Reader::new(input.bytes(Self::IMAGE_SIZE)?, at_image.offset()), host };
        let index = image.u32()?;
        if index as usize >= VIRTIO_QUEUE_MAX {
            let kind =
                ErrorKind::TooMany { what: "as the index of a descriptor", found: index.into(), limit: 1023 };
            return Err(at_image.fail(kind).in_field("index"));
        }
        let out_num = image.count("out_num")?;
        let in_num = image.count("in_num")?;
        image.u32()?;
        let in_addr = image.u64s()?;
        let out_addr = image.u64s()?;
        let in_len = image.lengths()?;
        let out_len = image.lengths()?;
        let buffers = |addr: Vec<u64>, len: Vec<u64>, count| {
            addr.into_iter().zip(len).map(|(addr, len)| Buffer { addr, len }).take(count).collect()
        };
        Ok(Self {
            index,
            ndescs,
            out_sg: buffers(out_addr, out_len, out_num),
            in_sg: buffers(in_addr, in_len, in_num),
            host,
        })
    }

    /// Writes the element.
    pub fn save(&self, out: &mut Writer) {
        if let Some(ndescs) = self.ndescs {
            out.u32(ndescs);
        }
        let count = |buffers: &[Buffer]| u32::try_from(buffers.len()).unwrap_or(u32::MAX).min(MAX_BUFFERS);
        for value in [self.index, count(&self.out_sg), count(&self.in_sg), 0] {
            out.bytes(&self.host.0.u32_bytes(value));
        }
        let padded =
            |buffers: &[Buffer], size: usize, out: &mut Writer, write: &dyn Fn(&Buffer, &mut Writer)| {
                let end = out.len() + size * MAX_BUFFERS as usize;
                buffers.iter().take(MAX_BUFFERS as usize).for_each(|buffer| write(buffer, out));
                out.zeros(end - out.len());
            };
        for buffers in [&self.in_sg, &self.out_sg] {
            padded(buffers, 8, out, &|buffer, out| out.bytes(&self.host.0.u64_bytes(buffer.addr)));
        }
        for buffers in [&self.in_sg, &self.out_sg] {
            padded(buffers, 16, out, &|buffer, out| {
                out.u64(0);
                out.bytes(&self.host.0.u64_bytes(buffer.len));
            });
        }
    }
}

/// Reads the image's fields in the host's byte order.
struct Image<'a> {
    input: Reader<'a>,
    host: HostOrder,
}

impl Image<'_> {
    fn u32(&mut self) -> Result<u32> {
        Ok(self.host.0.u32(self.input.array()?))
    }

    fn count(&mut self, name: &'static str) -> Result<usize> {
        let at_count = self.input.clone();
        let count = self.u32()?;
        at_count.backed(count.into(), 0, MAX_BUFFERS.into(), "buffers").map_err(|e| e.in_field(name))
    }

    fn u64s(&mut self) -> Result<Vec<u64>> {
        (0..MAX_BUFFERS).map(|_| Ok(self.host.0.u64(self.input.array()?))).collect()
    }

    /// Lengths of the buffers; the pointer before each meant something to the source only.
    fn lengths(&mut self) -> Result<Vec<u64>> {
        let length = |_| {
            self.input.bytes(8)?;
            Ok(self.host.0.u64(self.input.array()?))
        };
        (0..MAX_BUFFERS).map(length).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element() -> Element {
        Element {
            index: 7,
            out_sg: vec![Buffer { addr: 0x1000, len: 16 }],
            in_sg: vec![Buffer { addr: 0x2000, len: 512 }, Buffer { addr: 0x3000, len: 1 }],
            ..Element::default()
        }
    }

    fn image(element: &Element) -> Vec<u8> {
        let mut out = Writer::new();
        element.save(&mut out);
        out.into_bytes()
    }

    #[test]
    fn round_trips() {
        let packed_big = Element { ndescs: Some(3), host: HostOrder(Endianness::Big), ..element() };
        let switches = Switches::default().with(Switch::Packed).with(Switch::BigEndianHost);
        for (element, switches) in [(element(), Switches::default()), (packed_big, switches)] {
            let bytes = image(&element);
            assert_eq!(bytes.len(), 49_168 + if element.ndescs.is_some() { 4 } else { 0 });
            assert_eq!(Element::load(&mut Reader::new(&bytes, 0), switches).unwrap(), element);
        }
    }

    #[test]
    fn refuses_more_buffers_than_there_is_room_for() {
        // CVE-2013-4535: the counts index fixed arrays.
        let mut bytes = image(&element());
        bytes[8..12].copy_from_slice(&1025_u32.to_le_bytes());
        let error = Element::load(&mut Reader::new(&bytes, 0x100), Switches::default()).unwrap_err();
        assert_eq!(error.to_string(), "in_num at 0x108: 1025 buffers, at most 1024");
    }
}
