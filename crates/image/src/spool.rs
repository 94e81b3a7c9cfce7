//! A temporary file without a name, for what can only be read once.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use vmstate::source::FileSource;

use crate::{Container, Error};

/// Bytes read at a time. A piece that is all zero becomes a hole.
const PIECE: usize = 64 << 10;

/// What went wrong: reading, or writing.
pub(crate) enum Failure {
    Read(io::Error),
    Write(io::Error),
}

impl Failure {
    /// The error, once it is known what was unpacked: nothing, if it was copied.
    pub(crate) fn of(self, file: String, container: Option<Container>) -> Error {
        match (self, container) {
            (Self::Read(error), None) => Error::Read { file, error },
            (Self::Read(error), Some(container)) => Error::Unpack { file, container, error },
            (Self::Write(error), _) => Error::Spool { file, error },
        }
    }
}

/// Copies all of `input` to a temporary file.
pub(crate) fn spool(mut input: impl Read, progress: &mut dyn FnMut(u64)) -> Result<FileSource, Failure> {
    let mut file = temporary_file().map_err(Failure::Write)?;
    let mut piece = vec![0; PIECE];
    let mut length = 0;
    loop {
        let filled = fill(&mut input, &mut piece).map_err(Failure::Read)?;
        let Some(filled) = piece.get(..filled).filter(|filled| !filled.is_empty()) else { break };
        length += filled.len() as u64;
        if filled.iter().all(|&byte| byte == 0) {
            file.seek(SeekFrom::Start(length)).map_err(Failure::Write)?;
        } else {
            file.write_all(filled).map_err(Failure::Write)?;
        }
        progress(length);
    }
    file.set_len(length).map_err(Failure::Write)?;
    FileSource::new(file).map_err(Failure::Write)
}

/// A temporary file: below `TMPDIR` if that is set, else where large ones belong, since `/tmp` may be
/// memory.
fn temporary_file() -> io::Result<File> {
    let large = Path::new("/var/tmp");
    match std::env::var_os("TMPDIR") {
        None if large.is_dir() => tempfile::tempfile_in(large),
        _ => tempfile::tempfile(),
    }
}

/// Reads until the buffer is full or the input ends.
fn fill(input: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
