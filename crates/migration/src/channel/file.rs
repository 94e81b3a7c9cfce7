//! `file:PATH,offset=N`: a stream in a file, from a byte on.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// Opens a file that a guest is in.
pub(super) fn open(path: &Path, offset: u64) -> io::Result<File> {
    let file = opened(OpenOptions::new().read(true), path)?;
    at(file, offset)
}

/// Opens a file that a guest is to go to.
///
/// As in QEMU, what is before `offset` stays, and what is behind is cut off; a new file is for its owner only.
pub(super) fn create(path: &Path, offset: u64) -> io::Result<File> {
    let file = opened(OpenOptions::new().write(true).create(true).truncate(false).mode(0o600), path)?;
    if file.metadata()?.is_file() {
        file.set_len(offset)?;
    }
    at(file, offset)
}

fn opened(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = options.custom_flags(flags).open(path)?;
    // Opened without blocking, a pipe that nobody writes to yet looks as if it were empty.
    if file.metadata()?.file_type().is_fifo() {
        let reason = format!("it is a pipe, not a file; use `exec:cat` with {}", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    Ok(file)
}

fn at(mut file: File, offset: u64) -> io::Result<File> {
    if offset > 0 {
        file.seek(SeekFrom::Start(offset))?;
    }
    Ok(file)
}
