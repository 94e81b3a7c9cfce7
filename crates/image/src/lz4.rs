//! LZ4 frames, one after the other, with an error where the last one is cut.
//!
//! `lz4_flex` takes the end of its input for the end of a frame, wherever a block could begin. Whether a
//! frame ended by itself shows in what the decoder asked for: it never reads past a frame's end mark.

use std::io::{self, Read};

use lz4_flex::frame::FrameDecoder;

/// Unpacks all frames of a file.
pub(crate) struct Frames<R: Read> {
    decoder: FrameDecoder<Watched<R>>,
    /// Bytes of the input up to the end of the last whole frame.
    whole: u64,
}

/// An input that remembers what was read from it.
struct Watched<R> {
    input: R,
    bytes: u64,
    ended: bool,
}

impl<R: Read> Frames<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { decoder: FrameDecoder::new(Watched { input, bytes: 0, ended: false }), whole: 0 }
    }
}

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            let read = self.decoder.read(buf)?;
            let input = self.decoder.get_ref();
            match (read, input.ended) {
                (1.., _) => return Ok(read),
                (0, false) => self.whole = input.bytes,
                (0, true) if self.whole == input.bytes => return Ok(0),
                (0, true) => {
                    let text = "the file ends within an LZ4 frame";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
                }
            }
        }
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buf)?;
        self.bytes += read as u64;
        self.ended |= read == 0 && !buf.is_empty();
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use lz4_flex::frame::{BlockSize, FrameEncoder, FrameInfo};

    use super::*;

    /// A frame of so many blocks of 64 KiB.
    fn frame(blocks: usize) -> Vec<u8> {
        let info = FrameInfo::new().block_size(BlockSize::Max64KB);
        let mut out = FrameEncoder::with_frame_info(info, Vec::new());
        out.write_all(&vec![7; blocks << 16]).unwrap();
        out.finish().unwrap()
    }

    fn unpacked(bytes: &[u8]) -> io::Result<usize> {
        // No longer than a block, so that reads end where blocks end.
        let mut piece = vec![0; 1 << 16];
        let mut frames = Frames::new(bytes);
        let mut length = 0;
        loop {
            match frames.read(&mut piece)? {
                0 => return Ok(length),
                read => length += read,
            }
        }
    }

    #[test]
    fn frames_of_whole_blocks_follow_one_another() {
        let bytes = [frame(2), frame(0), frame(1)].concat();
        assert_eq!(unpacked(&bytes).unwrap(), 3 << 16);
    }

    #[test]
    fn a_frame_cut_between_blocks_is_cut() {
        let bytes = [frame(1), frame(3)].concat();
        let first = frame(1).len();
        for length in 1..bytes.len() {
            assert_eq!(unpacked(&bytes[..length]).is_ok(), length == first, "cut at {length}");
        }
        assert_eq!(unpacked(&[]).unwrap(), 0);
    }
}
