//! Where a stream's bytes come from: anything that can be read at an offset.
//!
//! The state of the devices lies behind gigabytes of RAM of which nobody reads more than a few pages,
//! so a stream is not read through but looked into. A [`Source`] is what can be looked into: a file,
//! or bytes in memory. [`Cursor`] walks over one.

mod cursor;

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

pub use cursor::Cursor;

use crate::error::{Error, ErrorKind, Result};

/// Bytes that can be read at any offset, by several readers at once.
pub trait Source: Send + Sync {
    /// How many bytes there are.
    fn len(&self) -> u64;

    /// Reads some bytes at `offset` into `buf`, and says how many; 0 only at the end, or if `buf` is
    /// empty.
    ///
    /// # Errors
    /// If the bytes cannot be read.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// Where in its file it starts, if it is the part of one that lies behind a header: `mapped-ram` counts
    /// the places of pages from the start of the file, not of the stream.
    fn origin(&self) -> u64 {
        0
    }

    /// Whether there is nothing to read.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buf` with the bytes at `offset`.
    ///
    /// # Errors
    /// If the bytes cannot be read; [`io::ErrorKind::UnexpectedEof`] if they are not all there.
    fn read_exact_at(&self, mut offset: u64, mut buf: &mut [u8]) -> io::Result<()> {
        while !buf.is_empty() {
            match self.read_at(offset, buf) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    offset += read as u64;
                    buf = buf.get_mut(read..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Source for [u8] {
    fn len(&self) -> u64 {
        self.len() as u64
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let count = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        Ok(count)
    }
}

impl Source for Vec<u8> {
    fn len(&self) -> u64 {
        Source::len(self.as_slice())
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.as_slice().read_at(offset, buf)
    }
}

macro_rules! through_pointers {
    ($($pointer:ty),*) => {$(
        impl<S: Source + ?Sized> Source for $pointer {
            fn len(&self) -> u64 {
                (**self).len()
            }
            fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
                (**self).read_at(offset, buf)
            }
            fn origin(&self) -> u64 {
                (**self).origin()
            }
        }
    )*};
}

through_pointers!(&S, Box<S>, Arc<S>);

/// A file, as long as it was when it was taken.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    len: u64,
}

impl FileSource {
    /// Takes a regular file or a block device.
    ///
    /// # Errors
    /// If it has no end that could be found, as a pipe.
    pub fn new(mut file: File) -> io::Result<Self> {
        let len = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, len })
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl Source for FileSource {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }
}

/// Reads `count` bytes at `offset` into memory; none is set aside before they are known to be there.
///
/// # Errors
/// [`ErrorKind::TooMany`] if `count` is above `limit`, [`ErrorKind::Truncated`] if fewer are there,
/// [`ErrorKind::Io`] if they cannot be read.
pub fn read_vec(
    source: &dyn Source,
    offset: u64,
    count: u64,
    limit: u64,
    what: &'static str,
) -> Result<Vec<u8>> {
    let fail = |kind| Error::new(kind, offset);
    if count > limit {
        return Err(fail(ErrorKind::TooMany { what, found: count, limit }));
    }
    let left = source.len().saturating_sub(offset);
    if count > left {
        return Err(fail(ErrorKind::Truncated { needed: count, left }));
    }
    let length = usize::try_from(count)
        .map_err(|_| fail(ErrorKind::TooMany { what, found: count, limit: usize::MAX as u64 }))?;
    let mut bytes = vec![0; length];
    source.read_exact_at(offset, &mut bytes).map_err(|error| fail(error.into()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn bytes_end_where_they_end() {
        let bytes: &[u8] = b"stream";
        let source: &dyn Source = &bytes;
        let mut buf = [0; 4];
        assert_eq!(source.read_at(4, &mut buf).unwrap(), 2);
        assert_eq!(&buf[..2], b"am");
        assert_eq!(source.read_at(6, &mut buf).unwrap(), 0);
        assert_eq!(source.read_at(u64::MAX, &mut buf).unwrap(), 0);
        let error = source.read_exact_at(4, &mut buf).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn files_are_read_in_place() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let source: Arc<dyn Source> = Arc::new(FileSource::new(file).unwrap());
        assert_eq!((source.len(), source.is_empty()), (10, false));
        let mut buf = [0; 3];
        source.read_exact_at(7, &mut buf).unwrap();
        assert_eq!(&buf, b"789");
    }

    #[test]
    fn sets_no_memory_aside_for_what_is_not_there() {
        let source = vec![0; 8];
        assert_eq!(read_vec(&source, 2, 6, 100, "bytes").unwrap(), [0; 6]);
        let error = read_vec(&source, 2, 1 << 62, u64::MAX, "bytes").unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Truncated { needed, left: 6 } if *needed == 1 << 62));
        let error = read_vec(&source, 0, 8, 7, "bytes").unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::TooMany { found: 8, limit: 7, .. }));
    }
}
