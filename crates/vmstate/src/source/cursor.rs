//! A walk over a source, through a window of what was read ahead.
//!
//! The window starts small and doubles while the walk goes on: what is looked at are heads of a few
//! bytes, and after a jump nobody knows how far it goes from there. A page of RAM is no jump. It costs
//! less to read over one than to ask the kernel for the eight bytes behind it, so that scanning a stream
//! takes as long as reading it.

use std::fmt;

use super::Source;
use crate::error::{Error, ErrorKind, Result};
use crate::reader::Reader;

/// The window after a jump: room for the longest heads there usually are.
const SMALLEST_WINDOW: usize = 256;
/// The window that doubling ends at.
const LARGEST_WINDOW: usize = 256 << 10;
/// What is read over rather than jumped over: a page, on all machines that are used.
const SHORT_SKIP: u64 = 16 << 10;
/// What one call of [`Cursor::read`] may look at: far above the longest head there is.
const LONGEST_LOOK: usize = 1 << 20;

/// A place in a [`Source`], and a window of bytes from there on.
pub struct Cursor<'a> {
    source: &'a dyn Source,
    /// Its first `filled` bytes were read, from `start` on; those before `at` are done with.
    buffer: Vec<u8>,
    start: u64,
    at: usize,
    filled: usize,
    /// How much the next read takes.
    window: usize,
}

impl fmt::Debug for Cursor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor").field("offset", &self.offset()).finish_non_exhaustive()
    }
}

impl<'a> Cursor<'a> {
    /// A cursor at `offset`.
    #[must_use]
    pub fn new(source: &'a dyn Source, offset: u64) -> Self {
        Self { source, buffer: Vec::new(), start: offset, at: 0, filled: 0, window: SMALLEST_WINDOW }
    }

    /// What it walks over.
    #[must_use]
    pub fn source(&self) -> &'a dyn Source {
        self.source
    }

    /// Bytes from the start of the source to the next byte.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.start + self.at as u64
    }

    /// Bytes from here to the end of the source.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.source.len().saturating_sub(self.offset())
    }

    /// Decodes what comes next, and moves behind it.
    ///
    /// `decode` may be called more than once, with more bytes each time: whenever it fails for want of
    /// them. It must leave nothing behind when it fails.
    ///
    /// # Errors
    /// What `decode` says; [`ErrorKind::Io`] if the source cannot be read.
    pub fn read<T>(&mut self, decode: impl FnMut(&mut Reader<'_>) -> Result<T>) -> Result<T> {
        let (value, used) = self.look(decode)?;
        self.at += used;
        Ok(value)
    }

    /// Decodes what comes next, and stays.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn peek<T>(&mut self, decode: impl FnMut(&mut Reader<'_>) -> Result<T>) -> Result<T> {
        self.look(decode).map(|(value, _)| value)
    }

    /// The next byte, without reading it; `None` at the end.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if the source cannot be read.
    pub fn peek_u8(&mut self) -> Result<Option<u8>> {
        if self.left() == 0 {
            return Ok(None);
        }
        self.peek(|input| {
            let [byte] = input.array()?;
            Ok(Some(byte))
        })
    }

    fn look<T>(&mut self, mut decode: impl FnMut(&mut Reader<'_>) -> Result<T>) -> Result<(T, usize)> {
        loop {
            let view = self.buffer.get(self.at..self.filled).unwrap_or_default();
            let mut input = Reader::new(view, self.offset());
            let error = match decode(&mut input) {
                Ok(value) => return Ok((value, view.len() - input.left())),
                Err(error) => error,
            };
            let ErrorKind::Truncated { needed, left } = *error.kind() else { return Err(error) };
            let missing = usize::try_from(needed.saturating_sub(left)).unwrap_or(usize::MAX);
            let wanted = view.len().saturating_add(missing).min(LONGEST_LOOK);
            if !self.fill(wanted)? {
                return Err(error);
            }
        }
    }

    /// Reads until `wanted` bytes are in the window; `false` if there are no more than there were.
    fn fill(&mut self, wanted: usize) -> Result<bool> {
        self.buffer.copy_within(self.at..self.filled, 0);
        self.start = self.offset();
        self.filled -= self.at;
        self.at = 0;
        let before = self.filled;
        let room = wanted.max(self.window);
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        self.window = (self.window * 2).min(LARGEST_WINDOW);
        while self.filled < wanted {
            let offset = self.start + self.filled as u64;
            let rest = self.buffer.get_mut(self.filled..room).unwrap_or_default();
            match self.source.read_at(offset, rest) {
                Ok(0) => break,
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::new(error.into(), offset)),
            }
        }
        Ok(self.filled > before)
    }

    /// Moves `count` bytes on.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] if there are fewer: then it does not move.
    pub fn skip(&mut self, count: u64) -> Result<()> {
        let left = self.left();
        if count > left {
            return Err(Error::new(ErrorKind::Truncated { needed: count, left }, self.offset()));
        }
        self.seek(self.offset() + count);
        Ok(())
    }

    /// Moves to `offset`.
    pub fn seek(&mut self, offset: u64) {
        let within = offset.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        match within.filter(|&at| at <= self.filled) {
            Some(at) => self.at = at,
            None => {
                if offset.abs_diff(self.offset()) > SHORT_SKIP {
                    self.window = SMALLEST_WINDOW;
                }
                (self.start, self.at, self.filled) = (offset, 0, 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use super::*;

    /// Counts what is read from it.
    struct Counting(Vec<u8>, Mutex<Vec<usize>>);

    impl Source for Counting {
        fn len(&self) -> u64 {
            self.0.len() as u64
        }
        fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
            let read = self.0.read_at(offset, buf)?;
            self.1.lock().unwrap().push(read);
            Ok(read)
        }
    }

    impl Counting {
        fn new(bytes: usize) -> Self {
            Self((0..=255).cycle().take(bytes).collect(), Mutex::default())
        }
        fn reads(self) -> Vec<usize> {
            self.1.into_inner().unwrap()
        }
    }

    fn u8(input: &mut Reader<'_>) -> Result<u8> {
        input.u8()
    }

    fn u64(input: &mut Reader<'_>) -> Result<u64> {
        input.u64()
    }

    #[test]
    fn what_is_jumped_over_is_not_read() {
        let jump = 1 << 16;
        let source = Counting::new(100 * (8 + jump));
        let mut cursor = Cursor::new(&source, 0);
        for record in 0..100 {
            assert_eq!(cursor.offset(), record * (8 + jump as u64));
            cursor.read(u64).unwrap();
            cursor.skip(jump as u64).unwrap();
        }
        assert_eq!(source.reads(), [SMALLEST_WINDOW; 100]);
    }

    #[test]
    fn the_window_doubles_while_the_walk_goes_on() {
        for page in [0, 4096] {
            let source = Counting::new(1000 * (8 + page));
            let mut cursor = Cursor::new(&source, 0);
            while cursor.left() > 0 {
                cursor.read(u64).unwrap();
                cursor.skip(page as u64).unwrap();
            }
            let reads = source.reads();
            assert!(reads.len() < 30, "{} reads with pages of {page}", reads.len());
        }
    }

    #[test]
    fn decodes_across_windows_and_says_the_end() {
        let source = Counting::new(200);
        let mut cursor = Cursor::new(&source, 3);
        let bytes = cursor.read(|input| input.bytes(150).map(<[u8]>::to_vec)).unwrap();
        assert_eq!(bytes, source.0[3..153]);
        assert_eq!(cursor.peek_u8().unwrap(), Some(153));
        assert_eq!(cursor.read(u8).unwrap(), 153, "a peek does not move");
        let error = cursor.read(|input| input.bytes(47).map(|_| ())).unwrap_err();
        assert_eq!(error.to_string(), "at 0x9a: needs 47 bytes, 46 are left");
        assert!(cursor.skip(47).is_err());
        assert_eq!(cursor.offset(), 154, "a failed skip does not move");
        cursor.seek(10);
        assert_eq!(cursor.read(u8).unwrap(), 10);
    }
}
