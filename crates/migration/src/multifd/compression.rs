//! The content of packets, compressed: one stream for each channel, flushed at the end of each packet.

use std::fmt;
use std::str::FromStr;

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress};
use zstd::stream::raw::{Decoder, Encoder, InBuffer, Operation, OutBuffer};

use super::packet::flag;

/// The largest window that a zstd stream may ask for: 32 MiB.
const LARGEST_WINDOW: u32 = 25;
/// How hard zlib and zstd try, as QEMU does by default (`multifd-zlib-level`, `multifd-zstd-level`).
const LEVEL: u32 = 1;

/// How the content of packets is compressed (QEMU: `multifd-compression`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not.
    #[default]
    None,
    /// A zlib stream.
    Zlib,
    /// A zstd stream.
    Zstd,
}

impl Compression {
    pub(super) fn flag(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Zlib => 1 << 1,
            Self::Zstd => 2 << 1,
        }
    }

    /// The one that the flags of a packet tell.
    pub(super) fn of_flags(flags: u32) -> Result<Self, String> {
        match flags & flag::COMPRESSION {
            0 => Ok(Self::None),
            0x02 => Ok(Self::Zlib),
            0x04 => Ok(Self::Zstd),
            0x08 => Err(unknown("qpl")),
            0x10 => Err(unknown("uadk")),
            0x20 => Err(unknown("qatzip")),
            other => Err(format!("a packet has the compression bits {other:#x}, which nothing is known of")),
        }
    }
}

fn unknown(name: &str) -> String {
    format!("pages are compressed with {name}; set multifd-compression to none, zlib or zstd at the source")
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Zlib => "zlib",
            Self::Zstd => "zstd",
        })
    }
}

impl FromStr for Compression {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::None, Self::Zlib, Self::Zstd];
        let found = all.into_iter().find(|one| one.to_string() == text);
        found.ok_or_else(|| format!("`{text}` is no compression; expected none, zlib or zstd"))
    }
}

/// Makes what a packet has of pages.
pub(super) enum Deflater {
    None,
    Zlib(Box<Compress>),
    Zstd(Box<Encoder<'static>>),
}

impl Deflater {
    pub(super) fn new(compression: Compression) -> Result<Self, String> {
        Ok(match compression {
            Compression::None => Self::None,
            Compression::Zlib => Self::Zlib(Box::new(Compress::new(flate2::Compression::new(LEVEL), true))),
            Compression::Zstd => {
                let level = i32::try_from(LEVEL).unwrap_or(1);
                Self::Zstd(Box::new(Encoder::new(level).map_err(|error| error.to_string())?))
            }
        })
    }

    /// Compresses the pages of a packet.
    pub(super) fn deflate(&mut self, pages: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        out.clear();
        match self {
            Self::None => out.extend_from_slice(pages),
            Self::Zlib(stream) => {
                let start = stream.total_in();
                loop {
                    out.reserve(pages.len().max(4096));
                    let done = usize::try_from(stream.total_in() - start).unwrap_or(usize::MAX);
                    let rest = pages.get(done..).unwrap_or_default();
                    stream.compress_vec(rest, out, FlushCompress::Sync).map_err(|error| error.to_string())?;
                    // Room that is left shows that everything is out.
                    let done = usize::try_from(stream.total_in() - start).unwrap_or(usize::MAX);
                    if done >= pages.len() && out.len() < out.capacity() {
                        break;
                    }
                }
            }
            Self::Zstd(stream) => {
                let mut input = InBuffer::around(pages);
                let mut buffer = vec![0; 128 << 10];
                let mut left = 1;
                while left > 0 {
                    let mut output = OutBuffer::around(buffer.as_mut_slice());
                    left = if input.pos < pages.len() {
                        stream.run(&mut input, &mut output).map(|_| 1)
                    } else {
                        stream.flush(&mut output)
                    }
                    .map_err(|error| error.to_string())?;
                    let written = output.pos();
                    out.extend_from_slice(buffer.get(..written).unwrap_or_default());
                }
            }
        }
        Ok(())
    }
}

/// Makes pages of what a packet has.
pub(super) enum Inflater {
    None,
    Zlib(Box<Decompress>),
    Zstd(Box<Decoder<'static>>),
}

impl Inflater {
    pub(super) fn new(compression: Compression) -> Result<Self, String> {
        Ok(match compression {
            Compression::None => Self::None,
            Compression::Zlib => Self::Zlib(Box::new(Decompress::new(true))),
            Compression::Zstd => {
                let mut decoder = Decoder::new().map_err(|error| error.to_string())?;
                let window = zstd::stream::raw::DParameter::WindowLogMax(LARGEST_WINDOW);
                decoder.set_parameter(window).map_err(|error| error.to_string())?;
                Self::Zstd(Box::new(decoder))
            }
        })
    }

    /// Decompresses the content of a packet into exactly as many bytes as `pages` has.
    pub(super) fn inflate(&mut self, content: &[u8], pages: &mut Vec<u8>) -> Result<(), String> {
        let expected = pages.len();
        // A byte more than there may be shows content that does not end.
        pages.push(0);
        let done = self.fill(content, pages);
        pages.truncate(expected);
        let (read, made) = done?;
        if made != expected {
            let made = if made > expected { "more".to_owned() } else { made.to_string() };
            return Err(format!("the content of a packet is {made} bytes, expected {expected}"));
        }
        // A stream that has ended takes no more: what is behind it would be lost.
        match content.len().saturating_sub(read) {
            0 => Ok(()),
            left => {
                Err(format!("the content of a packet goes on for {left} bytes after its stream has ended"))
            }
        }
    }

    /// Decompresses into `room`, until it is full or there is nothing more; how many bytes were read for that, and
    /// how many made.
    fn fill(&mut self, content: &[u8], room: &mut [u8]) -> Result<(usize, usize), String> {
        match self {
            Self::None => {
                let length = content.len().min(room.len());
                if let (Some(to), Some(from)) = (room.get_mut(..length), content.get(..length)) {
                    to.copy_from_slice(from);
                }
                Ok((content.len(), content.len()))
            }
            Self::Zlib(stream) => {
                let (mut read, mut made) = (0, 0);
                loop {
                    let before = (stream.total_in(), stream.total_out());
                    let (rest, place) = (content.get(read..), room.get_mut(made..));
                    stream
                        .decompress(
                            rest.unwrap_or_default(),
                            place.unwrap_or_default(),
                            FlushDecompress::Sync,
                        )
                        .map_err(|error| format!("the content of a packet is no zlib stream: {error}"))?;
                    let after = (stream.total_in(), stream.total_out());
                    read += usize::try_from(after.0 - before.0).unwrap_or_default();
                    made += usize::try_from(after.1 - before.1).unwrap_or_default();
                    if after == before || made == room.len() {
                        break;
                    }
                }
                Ok((read, made))
            }
            Self::Zstd(stream) => {
                let mut input = InBuffer::around(content);
                let most = room.len();
                let mut output = OutBuffer::around(room);
                loop {
                    let before = (input.pos, output.pos());
                    stream
                        .run(&mut input, &mut output)
                        .map_err(|error| format!("the content of a packet is no zstd stream: {error}"))?;
                    if (input.pos, output.pos()) == before || output.pos() == most {
                        break;
                    }
                }
                Ok((input.pos, output.pos()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_packet_by_packet() {
        for compression in [Compression::None, Compression::Zlib, Compression::Zstd] {
            let mut deflater = Deflater::new(compression).unwrap();
            let mut inflater = Inflater::new(compression).unwrap();
            let mut content = Vec::new();
            for packet in 0..5_u32 {
                let noise = |at: u32| at.wrapping_mul(0x9e37_79b9).rotate_left(at % 31).to_le_bytes()[1];
                let pages: Vec<u8> =
                    (0..packet * 40_000).map(|at| if packet % 2 == 0 { noise(at) } else { 7 }).collect();
                deflater.deflate(&pages, &mut content).unwrap();
                let mut out = vec![0; pages.len()];
                inflater.inflate(&content, &mut out).unwrap();
                assert!(out == pages, "{compression} {packet}");
            }
        }
    }

    #[test]
    fn refuses_content_of_another_length() {
        for compression in [Compression::None, Compression::Zlib, Compression::Zstd] {
            let mut content = Vec::new();
            Deflater::new(compression).unwrap().deflate(&[0; 8192], &mut content).unwrap();
            let inflate =
                |bytes: usize| Inflater::new(compression).unwrap().inflate(&content, &mut vec![0; bytes]);
            assert_eq!(inflate(8192), Ok(()));
            let long = inflate(4096).unwrap_err();
            assert_eq!(long, "the content of a packet is more bytes, expected 4096");
            let short = inflate(12288).unwrap_err();
            assert_eq!(short, "the content of a packet is 8192 bytes, expected 12288");
        }
    }

    #[test]
    fn refuses_what_follows_the_end_of_a_stream() {
        let mut content = Vec::with_capacity(4096);
        let mut stream = Compress::new(flate2::Compression::new(LEVEL), true);
        stream.compress_vec(&[7; 4096], &mut content, FlushCompress::Finish).unwrap();
        let inflate =
            |content: &[u8]| Inflater::new(Compression::Zlib).unwrap().inflate(content, &mut vec![0; 4096]);
        assert_eq!(inflate(&content), Ok(()));
        content.extend([1, 2, 3]);
        let error = inflate(&content).unwrap_err();
        assert_eq!(error, "the content of a packet goes on for 3 bytes after its stream has ended");
    }

    #[test]
    fn refuses_what_is_no_stream() {
        for (compression, name) in [(Compression::Zlib, "zlib"), (Compression::Zstd, "zstd")] {
            let error =
                Inflater::new(compression).unwrap().inflate(&[0xff; 64], &mut vec![0; 4096]).unwrap_err();
            assert!(error.starts_with(&format!("the content of a packet is no {name} stream")), "{error}");
        }
        assert!(Compression::of_flags(0x8).unwrap_err().contains("qpl"));
    }
}
