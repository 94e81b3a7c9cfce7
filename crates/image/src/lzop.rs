//! The file format of `lzop`: a header, then blocks of LZO1X, each with its lengths and checksums.
//!
//! All numbers are big-endian. Layout as `lzop` 1.x writes it. Several files one after the other, as `cat`
//! makes them, are read as one; filters, which nothing writes any more, are refused.

use std::io::{self, Read};

/// The first bytes of a file.
pub(crate) const MAGIC: [u8; 9] = [0x89, b'L', b'Z', b'O', 0, 0x0d, 0x0a, 0x1a, 0x0a];

/// The most a block may hold; `lzop` itself makes blocks of 256 KiB.
const LONGEST_BLOCK: u32 = 64 << 20;
/// The most that one byte of LZO1X can stand for.
const HIGHEST_RATIO: u64 = 256;
/// From this version on the header says which version is needed to read it, a level, and a high half of
/// the time.
const VERSION_WITH_LEVEL: u16 = 0x0940;

const ADLER32_OF_DATA: u32 = 0x1;
const ADLER32_OF_PACKED: u32 = 0x2;
const EXTRA_FIELD: u32 = 0x40;
const CRC32_OF_DATA: u32 = 0x100;
const CRC32_OF_PACKED: u32 = 0x200;
const FILTER: u32 = 0x800;
const CRC32_OF_HEADER: u32 = 0x1000;

/// What is packed in a file.
pub(crate) struct Decoder<R> {
    input: R,
    /// Of the file that is being read; `None` before the first and between two.
    flags: Option<u32>,
    has_begun: bool,
    block: Vec<u8>,
    /// How much of the block was given out.
    used: usize,
}

impl<R: Read> Decoder<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, flags: None, has_begun: false, block: Vec::new(), used: 0 }
    }

    /// Makes the next block ready; `false` at the end.
    fn next_block(&mut self) -> io::Result<bool> {
        loop {
            let Some(flags) = self.flags else {
                self.flags = header(&mut self.input, !self.has_begun)?;
                self.has_begun = true;
                if self.flags.is_none() {
                    return Ok(false);
                }
                continue;
            };
            match block(&mut self.input, flags)? {
                None => self.flags = None,
                Some(block) => {
                    (self.block, self.used) = (block, 0);
                    return Ok(true);
                }
            }
        }
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.used == self.block.len() && (buf.is_empty() || !self.next_block()?) {
            return Ok(0);
        }
        let mut rest = self.block.get(self.used..).unwrap_or_default();
        let read = rest.read(buf)?;
        self.used += read;
        Ok(read)
    }
}

/// Reads a header for its flags; `None` if the input ends instead and may.
fn header(input: &mut impl Read, is_first: bool) -> io::Result<Option<u32>> {
    let mut magic = Vec::new();
    input.take(MAGIC.len() as u64).read_to_end(&mut magic)?;
    if magic.is_empty() && !is_first {
        return Ok(None);
    }
    if magic != MAGIC {
        return Err(invalid("no lzop header"));
    }
    let mut header = Summed { input, bytes: Vec::new() };
    let version = header.u16()?;
    header.u16()?; // of the library
    if version >= VERSION_WITH_LEVEL {
        header.u16()?; // needed to read it
    }
    let [method] = header.array()?;
    if !matches!(method, 1..=3) {
        return Err(invalid(format!("method {method}, expected 1 to 3 (LZO1X)")));
    }
    if version >= VERSION_WITH_LEVEL {
        header.array::<1>()?; // level
    }
    let flags = header.u32()?;
    if flags & FILTER != 0 {
        return Err(invalid("a filter was used, which is not supported; unpack it with `lzop -d`"));
    }
    header.u32()?; // mode
    header.u32()?; // time
    if version >= VERSION_WITH_LEVEL {
        header.u32()?; // its high half
    }
    let [name] = header.array()?;
    header.skip(name.into())?;
    header.check(flags)?;
    if flags & EXTRA_FIELD != 0 {
        header.bytes.clear();
        let length = header.u32()?;
        header.skip(length.into())?;
        header.check(flags)?;
    }
    Ok(Some(flags))
}

/// Reads a block; `None` if it is the end mark.
fn block(input: &mut impl Read, flags: u32) -> io::Result<Option<Vec<u8>>> {
    let length = u32::from_be_bytes(array(input)?);
    if length == 0 {
        return Ok(None);
    }
    let packed_length = u32::from_be_bytes(array(input)?);
    let fits = u64::from(length) <= u64::from(packed_length) * HIGHEST_RATIO;
    if length > LONGEST_BLOCK || packed_length > length || !fits {
        let found = format!("a block of {packed_length} bytes for {length}");
        return Err(invalid(format!("{found}, expected at most {LONGEST_BLOCK}, packed to no more")));
    }
    let is_packed = packed_length < length;
    let mut sum = |flag: u32| (flags & flag != 0).then(|| array(input)).transpose();
    let adler32 = sum(ADLER32_OF_DATA)?;
    let crc32 = sum(CRC32_OF_DATA)?;
    if is_packed {
        sum(ADLER32_OF_PACKED)?;
        sum(CRC32_OF_PACKED)?;
    }
    let mut packed = Vec::new();
    input.take(packed_length.into()).read_to_end(&mut packed)?;
    if packed.len() as u64 != u64::from(packed_length) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let data = if is_packed { unpack(&packed, length)? } else { packed };
    if adler32.is_some_and(|sum| u32::from_be_bytes(sum) != adler2::adler32_slice(&data))
        || crc32.is_some_and(|sum| u32::from_be_bytes(sum) != crc32fast::hash(&data))
    {
        return Err(invalid("the checksum of a block does not fit"));
    }
    Ok(Some(data))
}

fn unpack(packed: &[u8], length: u32) -> io::Result<Vec<u8>> {
    let mut data = vec![0; usize::try_from(length).map_err(invalid)?];
    let unpacked = lzo::decompress_into(packed, &mut data).map_err(invalid)?;
    if unpacked != data.len() {
        return Err(invalid(format!("a block of {unpacked} bytes, expected {length}")));
    }
    Ok(data)
}

/// A header, kept for its checksum.
struct Summed<'a, R> {
    input: &'a mut R,
    bytes: Vec<u8>,
}

impl<R: Read> Summed<'_, R> {
    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let bytes = array(self.input)?;
        self.bytes.extend(bytes);
        Ok(bytes)
    }

    fn u16(&mut self) -> io::Result<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> io::Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn skip(&mut self, count: u64) -> io::Result<()> {
        self.input.take(count).read_to_end(&mut self.bytes).map(|_| ())
    }

    /// Reads the checksum of what was read so far.
    fn check(&mut self, flags: u32) -> io::Result<()> {
        let expected = match flags & CRC32_OF_HEADER {
            0 => adler2::adler32_slice(&self.bytes),
            _ => crc32fast::hash(&self.bytes),
        };
        match u32::from_be_bytes(array(self.input)?) == expected {
            true => Ok(()),
            false => Err(invalid("the checksum of the lzop header does not fit")),
        }
    }
}

fn array<const N: usize>(input: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
