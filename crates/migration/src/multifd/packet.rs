//! What a multifd channel is made of. All numbers are big-endian.
//!
//! | initial packet, 64 bytes | | packet, 320 bytes and the offsets | |
//! | --- | --- | --- | --- |
//! | magic 0x11223344 | be32 | magic 0x11223344 | be32 |
//! | version 1 | be32 | version 1 | be32 |
//! | UUID of the machine | 16 bytes | flags | be32 |
//! | channel | u8 | pages that fit | be32 |
//! | not used | 39 bytes | pages with content | be32 |
//! | | | bytes of content that follow | be32 |
//! | | | number of the packet | be64 |
//! | | | pages of zeros (since QEMU 9.0) | be32 |
//! | | | not used | 28 bytes |
//! | | | block's name, ends with 0 | 256 bytes |
//! | | | offsets of the pages in the block | be64 for each that fits a packet |
//!
//! The offsets are those of the pages with content, then those of the pages of zeros. A packet has room for as many
//! as 512 KiB have pages, whatever it says and however many it has.

use std::io::{ErrorKind, Read};

use vmstate::{Reader, Writer};

use crate::error::Cause;

pub(super) const MAGIC: u32 = 0x1122_3344;
const VERSION: u32 = 1;

/// Bytes of the initial packet.
const INITIAL: usize = 64;
/// Bytes of a packet without its offsets.
const HEAD: usize = 320;
/// Bytes of a packet that tell its kind: packets of other kinds are shorter.
pub(super) const KIND: usize = 12;
/// Bytes of pages in a packet (QEMU: `MULTIFD_PACKET_SIZE`).
const CONTENT: u64 = 512 << 10;
/// Room for a block's name.
const NAME: usize = 256;

/// Flags.
pub(super) mod flag {
    pub(in crate::multifd) const SYNC: u32 = 1;
    pub(in crate::multifd) const COMPRESSION: u32 = 0x1f << 1;
    pub(in crate::multifd) const DEVICE_STATE: u32 = 1 << 6;
}

/// What a channel begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Initial {
    /// The machine's UUID, or zeros.
    pub uuid: [u8; 16],
    /// Which channel it is, from 0.
    pub channel: u8,
}

/// What comes before the content of a packet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packet {
    /// Flags.
    pub flags: u32,
    /// Bytes of content that follow.
    pub content: u32,
    /// Which packet it is, over all channels.
    pub number: u64,
    /// The block whose pages these are; empty if there are none.
    pub block: String,
    /// Offsets of pages with content, in bytes from the start of the block.
    pub normal: Vec<u64>,
    /// Offsets of pages of zeros.
    pub zero: Vec<u64>,
}

/// Pages that a packet has room for.
#[must_use]
pub(super) fn most_pages(page_size: u64) -> usize {
    usize::try_from(CONTENT / page_size.max(1)).unwrap_or(1).max(1)
}

/// Bytes of a packet before its content.
#[must_use]
pub(super) fn packet_bytes(page_size: u64) -> usize {
    HEAD + 8 * most_pages(page_size)
}

fn expect(what: &str, found: u32, expected: u32) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what} is {found:#x}, expected {expected:#x}")) }
}

impl Initial {
    /// The first `count` channels, of no machine in particular.
    #[must_use]
    pub fn first(count: u8) -> Vec<Self> {
        (0..count).map(|channel| Self { uuid: [0; 16], channel }).collect()
    }

    /// Takes it off a channel.
    ///
    /// # Errors
    /// If it is none, or the channel ends before.
    pub fn read(channel: &mut impl Read) -> Result<Self, Cause> {
        let mut bytes = [0; INITIAL];
        match channel.read_exact(&mut bytes) {
            Ok(()) => Self::load(&bytes).map_err(Cause::Multifd),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Err(Cause::Multifd("a channel was closed before it said what it is".to_owned()))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn load(bytes: &[u8; INITIAL]) -> Result<Self, String> {
        let mut input = Reader::new(bytes, 0);
        let read = (|| {
            let (magic, version) = (input.u32()?, input.u32()?);
            Ok::<_, vmstate::Error>((magic, version, input.array()?, input.u8()?))
        })();
        let (magic, version, uuid, channel) = read.map_err(|error| error.to_string())?;
        expect("the magic number of the initial packet", magic, MAGIC)?;
        expect("the version of the initial packet", version, VERSION)?;
        Ok(Self { uuid, channel })
    }

    /// As it goes over the channel.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(INITIAL);
        out.u32(MAGIC);
        out.u32(VERSION);
        out.bytes(&self.uuid);
        out.u8(self.channel);
        out.zeros(INITIAL - out.len());
        out.into_bytes()
    }
}

impl Packet {
    /// Reads the flags of a packet, and checks that it is one.
    pub(super) fn kind(bytes: &[u8; KIND]) -> Result<u32, String> {
        let [m0, m1, m2, m3, v0, v1, v2, v3, f0, f1, f2, f3] = *bytes;
        expect("the magic number of a packet", u32::from_be_bytes([m0, m1, m2, m3]), MAGIC)?;
        expect("the version of a packet", u32::from_be_bytes([v0, v1, v2, v3]), VERSION)?;
        Ok(u32::from_be_bytes([f0, f1, f2, f3]))
    }

    /// Reads all that comes before the content.
    ///
    /// # Errors
    /// If there are not as many bytes as that, or more pages than a packet has room for.
    pub fn load(bytes: &[u8], page_size: u64) -> Result<Self, String> {
        let mut input = Reader::new(bytes, 0);
        Self::load_from(&mut input, page_size).map_err(|error| error.to_string())?
    }

    fn load_from(input: &mut Reader<'_>, page_size: u64) -> vmstate::Result<Result<Self, String>> {
        input.bytes(8)?;
        let flags = input.u32()?;
        let (fit, normal, content, number) = (input.u32()?, input.u32()?, input.u32()?, input.u64()?);
        let zero = input.u32()?;
        input.bytes(28)?;
        // The last byte is a zero.
        let name = input.bytes(NAME - 1)?;
        input.u8()?;
        let most = most_pages(page_size);
        let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        let all = count(normal).saturating_add(count(zero));
        if all > most || count(fit) > most {
            let text = format!("a packet has {normal} and {zero} pages of {fit}, at most {most}");
            return Ok(Err(text));
        }
        let offsets: Vec<u64> = (0..all).map(|_| input.u64()).collect::<vmstate::Result<_>>()?;
        let (normal, zero) = offsets.split_at_checked(count(normal)).unwrap_or((&offsets, &[]));
        let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
        let Ok(block) = str::from_utf8(name) else {
            return Ok(Err(format!(
                "a packet has pages of a block `{}`, which is not UTF-8",
                name.escape_ascii()
            )));
        };
        Ok(Ok(Self {
            flags,
            content,
            number,
            block: block.to_owned(),
            normal: normal.to_vec(),
            zero: zero.to_vec(),
        }))
    }

    /// What comes before the content.
    #[must_use]
    pub fn save(&self, page_size: u64) -> Vec<u8> {
        let size = packet_bytes(page_size);
        let most = most_pages(page_size);
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let mut out = Writer::with_capacity(size);
        for value in [MAGIC, VERSION, self.flags, count(most), count(self.normal.len()), self.content] {
            out.u32(value);
        }
        out.u64(self.number);
        out.u32(count(self.zero.len()));
        out.zeros(28);
        let name = self.block.as_bytes();
        let name = name.get(..name.len().min(NAME - 1)).unwrap_or_default();
        out.bytes(name);
        out.zeros(NAME - name.len());
        self.normal.iter().chain(&self.zero).take(most).for_each(|&offset| out.u64(offset));
        out.zeros(size - out.len());
        out.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = 4096;

    #[test]
    fn is_read_as_it_was_written() {
        let initial = Initial { uuid: [7; 16], channel: 3 };
        assert_eq!(Initial::load(&initial.save().try_into().unwrap()), Ok(initial));
        let packet = Packet {
            flags: flag::SYNC,
            content: 8192,
            number: 9,
            block: "pc.ram".to_owned(),
            normal: vec![0, 4096],
            zero: vec![0x10_0000],
        };
        let bytes = packet.save(PAGE);
        assert_eq!(bytes.len(), 320 + 8 * 128);
        assert_eq!(Packet::kind(bytes.first_chunk().unwrap()), Ok(flag::SYNC));
        assert_eq!(Packet::load(&bytes, PAGE), Ok(packet));
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        let mut bytes = Packet::default().save(PAGE);
        bytes[16..20].copy_from_slice(&129_u32.to_be_bytes());
        assert_eq!(
            Packet::load(&bytes, PAGE).unwrap_err(),
            "a packet has 129 and 0 pages of 128, at most 128"
        );
        bytes[0] = 0;
        let error = Packet::kind(bytes.first_chunk().unwrap()).unwrap_err();
        assert_eq!(error, "the magic number of a packet is 0x223344, expected 0x11223344");
        let mut initial = Initial { uuid: [0; 16], channel: 0 }.save();
        initial[7] = 2;
        let error = Initial::load(&initial.try_into().unwrap()).unwrap_err();
        assert_eq!(error, "the version of the initial packet is 0x2, expected 0x1");
    }
}
