//! The bounded reader: a slice of the stream that knows its place.

use crate::error::{Error, ErrorKind, Result};

/// Reads fields from a slice, and knows where in the stream the slice lies.
///
/// A read past the end fails and moves nothing. Integers are big-endian.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// Stream offset of the end of `rest`: it stays the same while `rest` shrinks.
    end: u64,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, which begin `offset` bytes into the stream.
    #[must_use]
    pub fn new(bytes: &'a [u8], offset: u64) -> Self {
        Self { rest: bytes, end: offset.saturating_add(bytes.len() as u64) }
    }

    /// Bytes from the start of the stream to the next byte read.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.end - self.rest.len() as u64
    }

    /// Bytes not yet read.
    #[must_use]
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// The bytes not yet read, without reading them.
    #[must_use]
    pub fn peek(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads `count` bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] if fewer are left.
    #[inline]
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        match self.rest.split_at_checked(count) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(self.truncated(count)),
        }
    }

    /// Reads `N` bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] if fewer are left.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.rest.split_first_chunk() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(*bytes)
            }
            None => Err(self.truncated(N)),
        }
    }

    /// Reads one byte.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] at the end of the input.
    #[inline]
    pub fn u8(&mut self) -> Result<u8> {
        self.array().map(u8::from_be_bytes)
    }

    /// Reads two bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] if fewer are left.
    #[inline]
    pub fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Reads four bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] if fewer are left.
    #[inline]
    pub fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Reads eight bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] if fewer are left.
    #[inline]
    pub fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// Reads a name: a byte with its length, then its characters.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] if it does not fit, [`ErrorKind::Invalid`] if it is not UTF-8.
    pub fn name(&mut self) -> Result<&'a str> {
        let at = self.offset();
        let length = self.u8()?;
        let bytes = self.bytes(usize::from(length))?;
        std::str::from_utf8(bytes)
            .map_err(|_| Error::new(ErrorKind::Invalid("a name that is not UTF-8".into()), at))
    }

    /// Checks a count against a limit, and against what the input can back: `count` elements of at
    /// least `size` bytes each must still be there. Only then may memory be set aside for them.
    ///
    /// # Errors
    /// [`ErrorKind::TooMany`] or [`ErrorKind::Truncated`].
    pub fn backed(&self, count: u64, size: usize, limit: u64, what: &'static str) -> Result<usize> {
        if count > limit {
            return Err(self.fail(ErrorKind::TooMany { what, found: count, limit }));
        }
        let needed = count.saturating_mul(size as u64);
        if needed > self.left() as u64 {
            return Err(self.fail(ErrorKind::Truncated { needed, left: self.left() as u64 }));
        }
        usize::try_from(count)
            .map_err(|_| self.fail(ErrorKind::TooMany { what, found: count, limit: usize::MAX as u64 }))
    }

    /// Checks that everything was read.
    ///
    /// # Errors
    /// [`ErrorKind::Trailing`] if something is left.
    pub fn finish(&self) -> Result<()> {
        match self.left() {
            0 => Ok(()),
            left => Err(self.fail(ErrorKind::Trailing { left: left as u64 })),
        }
    }

    /// A failure at the place of the next byte.
    #[cold]
    #[must_use]
    pub fn fail(&self, kind: ErrorKind) -> Error {
        Error::new(kind, self.offset())
    }

    #[cold]
    fn truncated(&self, needed: usize) -> Error {
        self.fail(ErrorKind::Truncated { needed: needed as u64, left: self.left() as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_place() {
        let mut reader = Reader::new(&[1, 2, 3], 100);
        assert_eq!(reader.u16().unwrap(), 0x0102);
        assert_eq!(reader.offset(), 102);
        let error = reader.u32().unwrap_err();
        assert_eq!(error.to_string(), "at 0x66: needs 4 bytes, 1 are left");
        assert_eq!(reader.u8().unwrap(), 3, "a failed read moves nothing");
        reader.finish().unwrap();
    }

    #[test]
    fn refuses_counts_the_input_cannot_back() {
        let reader = Reader::new(&[0; 10], 0);
        assert_eq!(reader.backed(2, 5, 64, "entries").unwrap(), 2);
        assert!(matches!(
            reader.backed(u64::MAX, 8, u64::MAX, "entries").unwrap_err().kind(),
            ErrorKind::Truncated { .. }
        ));
        assert!(matches!(reader.backed(65, 0, 64, "entries").unwrap_err().kind(), ErrorKind::TooMany { .. }));
    }
}
