//! Compressions, and how they are undone.

use std::fmt;
use std::io::{self, BufReader, Read};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;

use crate::{lz4, lzop};

/// Largest window a zstd frame may ask for, as a power of two: what `zstd --long=31` makes.
const ZSTD_WINDOW_LOG: u32 = 31;

/// A compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Packing {
    /// One or more zstd frames (RFC 8878).
    Zstd,
    /// One or more gzip members (RFC 1952).
    Gzip,
    /// One or more bzip2 streams.
    Bzip2,
    /// One or more xz streams.
    Xz,
    /// One or more LZ4 frames.
    Lz4,
    /// What `lzop` writes: blocks of LZO1X.
    Lzop,
}

impl fmt::Display for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
            Self::Lz4 => "lz4",
            Self::Lzop => "lzop",
        })
    }
}

impl Packing {
    /// How a file with these first bytes is compressed, if it is.
    pub(crate) fn detect(head: &[u8]) -> Option<Self> {
        match head {
            // The second is a frame to be skipped, with which the files of pzstd begin.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] => Some(Self::Bzip2),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [0x04, 0x22, 0x4d, 0x18, ..] => Some(Self::Lz4),
            _ if head.starts_with(&lzop::MAGIC) => Some(Self::Lzop),
            _ => None,
        }
    }

    /// What is packed in `input`.
    pub(crate) fn unpack<'a>(self, input: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Self::Zstd => {
                let mut decoder = zstd::Decoder::new(input)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Box::new(decoder)
            }
            Self::Gzip => Box::new(MultiGzDecoder::new(BufReader::new(input))),
            Self::Bzip2 => Box::new(MultiBzDecoder::new(BufReader::new(input))),
            Self::Xz => Box::new(XzDecoder::new_multi_decoder(BufReader::new(input))),
            Self::Lz4 => Box::new(lz4::Frames::new(input)),
            Self::Lzop => Box::new(lzop::Decoder::new(BufReader::new(input))),
        })
    }
}
