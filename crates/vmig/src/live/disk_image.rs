//! A disk image that a held guest's requests are served from: raw, and locked as QEMU locks it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use virtio::device::disk::FileDisk;

use crate::verb::Failure;

/// How other formats begin: offset, bytes, and what they are called.
const OTHER_FORMATS: &[(u64, &[u8], &str)] = &[
    (0, b"QFI\xfb", "qcow2"),
    (0, b"QED\0", "qed"),
    (0, b"KDMV", "vmdk"),
    (0, b"vhdxfile", "vhdx"),
    (0, b"conectix", "vpc"),
    (64, b"\x7f\x10\xda\xbe", "vdi"),
];

/// QEMU locks bytes of an image: one from here on for each permission that it makes use of…
const USED: i64 = 100;
/// … and one from here on for each that it lets nobody else have.
const UNSHARED: i64 = 200;
/// The permissions of a guest that writes: consistent reads and writes; those of others that it excludes: writes and
/// changes of the size.
const MINE: [i64; 2] = [0, 1];
const NOT_OTHERS: [i64; 2] = [1, 3];

/// A raw image.
#[derive(Debug)]
pub(crate) struct DiskImage {
    path: PathBuf,
    file: File,
}

/// The image, while nobody else writes to it. Dropping it lets go of it.
#[derive(Debug)]
pub(crate) struct Locked<'a>(&'a File);

impl DiskImage {
    /// Opens an image for writing, if it is raw.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let name = path.display();
        let failed = |error: io::Error| Failure::NotThere(format!("cannot open {name} for writing: {error}"));
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
        for &(offset, magic, format) in OTHER_FORMATS {
            let mut found = vec![0; magic.len()];
            if file.read_exact_at(&mut found, offset).is_ok() && found == magic {
                return Err(Failure::NotThere(format!(
                    "{name} is a {format} image, expected a raw one: `qemu-storage-daemon` or `qemu-nbd` show it as one"
                )));
            }
        }
        Ok(Self { path: path.to_owned(), file })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Locks it, if nobody else makes use of it for writing.
    pub(crate) fn lock(&self) -> io::Result<Locked<'_>> {
        let locked = Locked(&self.file);
        for byte in bytes(USED, MINE).chain(bytes(UNSHARED, NOT_OTHERS)) {
            match fcntl(&self.file, FcntlArg::F_OFD_SETLK(&lock(libc::F_RDLCK, byte))) {
                Ok(_) => {}
                Err(Errno::EAGAIN | Errno::EACCES) => return Err(in_use()),
                // Where nothing can be locked, QEMU goes on as well.
                Err(_) => return Ok(locked),
            }
        }
        for byte in bytes(UNSHARED, MINE).chain(bytes(USED, NOT_OTHERS)) {
            let mut other = lock(libc::F_WRLCK, byte);
            fcntl(&self.file, FcntlArg::F_OFD_GETLK(&mut other))?;
            if i32::from(other.l_type) != libc::F_UNLCK {
                return Err(in_use());
            }
        }
        Ok(locked)
    }
}

impl Locked<'_> {
    /// A disk with its data.
    pub(crate) fn disk(&self) -> io::Result<FileDisk> {
        FileDisk::new(self.0.try_clone()?, false)
    }

    /// Makes all that was written last.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        for byte in bytes(USED, MINE).chain(bytes(UNSHARED, NOT_OTHERS)) {
            // What is not locked is not unlocked.
            let _ = fcntl(self.0, FcntlArg::F_OFD_SETLK(&lock(libc::F_UNLCK, byte)));
        }
    }
}

fn bytes(base: i64, permissions: [i64; 2]) -> impl Iterator<Item = i64> {
    permissions.into_iter().map(move |permission| base + permission)
}

fn in_use() -> io::Error {
    io::Error::other("another process has it for writing (a QEMU that still runs?)")
}

/// One byte, for `F_OFD_SETLK` and `F_OFD_GETLK`.
fn lock(kind: i32, byte: i64) -> libc::flock {
    let kind = i16::try_from(kind).unwrap_or_default();
    libc::flock { l_type: kind, l_whence: 0, l_start: byte, l_len: 1, l_pid: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(content: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().write_all_at(content, 0).unwrap();
        file
    }

    #[test]
    fn two_writers_do_not_have_it_at_once() {
        let file = image(&[0; 512]);
        let [one, other] = [(); 2].map(|()| DiskImage::open(file.path()).unwrap());
        let locked = one.lock().unwrap();
        assert!(other.lock().is_err());
        drop(locked);
        let locked = other.lock().unwrap();
        assert!(one.lock().is_err(), "what failed to lock left no lock behind, and is refused in turn");
        drop(locked);
        one.lock().unwrap();
    }

    #[test]
    fn other_formats_are_refused_by_name() {
        let file = image(b"QFI\xfb\0\0\0\x03");
        let error = DiskImage::open(file.path()).unwrap_err().to_string();
        assert!(error.contains("is a qcow2 image, expected a raw one"), "{error}");
    }
}
