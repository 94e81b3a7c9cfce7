//! What the disks of block devices and SCSI hosts are kept in.

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
