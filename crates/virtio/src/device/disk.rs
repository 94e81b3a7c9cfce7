//! What the disks of block devices and SCSI hosts are kept in, and what both do with them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use parking_lot::Mutex;

/// Bytes of a sector: the unit in which virtio counts (virtio 1.3 §5.2).
pub const SECTOR: u64 = 512;

/// What a disk is kept in. Offsets are in bytes, and within the capacity.
pub trait Disk: Send {
    /// Sectors of 512 bytes.
    fn sectors(&self) -> u64;

    /// Whether nothing may be written.
    fn is_read_only(&self) -> bool {
        false
    }

    /// Reads bytes.
    ///
    /// # Errors
    /// If they cannot be had.
    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()>;

    /// Writes bytes.
    ///
    /// # Errors
    /// If they cannot be kept.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes all that was written last.
    ///
    /// # Errors
    /// If that is not certain.
    fn flush(&mut self) -> io::Result<()>;
}

/// What happens when the disk fails (QEMU: `werror`, `rerror`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ErrorPolicy {
    /// The driver is told.
    #[default]
    Report,
    /// The request waits, and is tried again when the machine goes on: nothing is lost of a guest whose storage is
    /// full.
    Stop,
}

/// Bytes that are moved at once.
const PIECE: u64 = 1 << 20;

/// Where sectors are on a disk, in bytes, if they are there.
pub(super) fn place(sector: u64, sectors: u64, disk: &dyn Disk) -> Option<u64> {
    let is_there = sector.checked_add(sectors).is_some_and(|end| end <= disk.sectors());
    is_there.then(|| sector.saturating_mul(SECTOR))
}

/// Moves `length` bytes from `offset` on, in pieces: `step` has the offset and the buffer of each.
pub(super) fn pieces(
    offset: u64,
    length: u64,
    mut step: impl FnMut(u64, &mut [u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = vec![0; usize::try_from(length.min(PIECE)).unwrap_or_default()];
    let mut done = 0;
    while done < length {
        let size = usize::try_from((length - done).min(PIECE)).unwrap_or_default();
        step(offset + done, buffer.get_mut(..size).unwrap_or_default())?;
        done += size as u64;
    }
    Ok(())
}

/// Makes bytes zero.
pub(super) fn clear(offset: u64, length: u64, disk: &mut dyn Disk) -> io::Result<()> {
    pieces(offset, length, |at, buffer| {
        buffer.fill(0);
        disk.write(at, buffer)
    })
}

/// A raw image in a file.
#[derive(Debug)]
pub struct FileDisk {
    file: File,
    sectors: u64,
    read_only: bool,
}

impl FileDisk {
    /// All whole sectors of a file, or of a block device.
    ///
    /// # Errors
    /// If its size cannot be had.
    pub fn new(mut file: File, read_only: bool) -> io::Result<Self> {
        // Of a block device the metadata do not tell.
        let bytes = io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
        Ok(Self { file, sectors: bytes / SECTOR, read_only })
    }
}

impl Disk for FileDisk {
    fn sectors(&self) -> u64 {
        self.sectors
    }
    fn is_read_only(&self) -> bool {
        self.read_only
    }
    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(bytes, offset)
    }
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// A disk in memory. Clones are the same disk, as shared storage is.
#[derive(Debug, Clone)]
pub struct MemoryDisk(Arc<Mutex<Vec<u8>>>);

impl MemoryDisk {
    /// A disk of so many sectors, all zero.
    #[must_use]
    pub fn new(sectors: u64) -> Self {
        let bytes = usize::try_from(sectors.saturating_mul(SECTOR)).unwrap_or_default();
        Self(Arc::new(Mutex::new(vec![0; bytes])))
    }

    fn at<R>(&self, offset: u64, length: usize, act: impl FnOnce(&mut [u8]) -> R) -> io::Result<R> {
        let mut disk = self.0.lock();
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let place = disk.get_mut(from..from.saturating_add(length));
        place.map(act).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl Disk for MemoryDisk {
    fn sectors(&self) -> u64 {
        self.0.lock().len() as u64 / SECTOR
    }
    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.at(offset, bytes.len(), |place| bytes.copy_from_slice(place))
    }
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.at(offset, bytes.len(), |place| place.copy_from_slice(bytes))
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
