//! The VM state of a snapshot, read in place.
//!
//! It is stored as the content of the disk is, at offsets behind the end of the disk: it begins with the
//! first L1 entry that stands for no part of the disk. The snapshot's L1 table points to L2 tables, and
//! those to clusters. What has no cluster is zeros; a backing file has no part in it.

use std::io::{self, Read};

use flate2::read::DeflateDecoder;
use parking_lot::Mutex;
use vmstate::source::{Source, read_vec};
use vmstate::{Error, ErrorKind, Result};

use super::header::{Compression, Header};
use super::snapshot::Snapshot;

/// The largest L1 table QEMU reads, in bytes.
const LONGEST_L1: u64 = 32 << 20;
/// Bytes of an L1 entry.
const L1_ENTRY: u64 = 8;
/// Where in an entry the offset of a table or cluster is.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
/// An L2 entry: the cluster is compressed.
const COMPRESSED: u64 = 1 << 62;
/// An L2 entry without subclusters: the cluster is zeros.
const ZERO: u64 = 1 << 0;
/// Subclusters in a cluster.
const SUBCLUSTERS: u64 = 32;
/// What the length of a compressed cluster is counted in, in bytes.
const SECTOR: u64 = 512;
/// Largest window of a compressed cluster, as a power of two: twice the largest cluster.
const ZSTD_WINDOW_LOG: u32 = 22;

/// The VM state of a snapshot.
pub(crate) struct VmState {
    file: Box<dyn Source>,
    header: Header,
    /// Entries of the snapshot's L1 table, from that on which the state begins with.
    l1: Vec<u64>,
    len: u64,
    /// The compressed cluster that was read last: its L2 entry and its content.
    unpacked: Mutex<Option<(u64, Vec<u8>)>>,
}

/// Where a piece of the state is.
enum Place {
    Zeros,
    /// At this offset in the file.
    File(u64),
    /// In the compressed cluster of this L2 entry.
    Compressed(u64),
}

impl VmState {
    /// Reads the part of the L1 table that is needed.
    pub(super) fn open(file: Box<dyn Source>, header: &Header, snapshot: &Snapshot) -> Result<Self> {
        let first = snapshot.disk_bytes.div_ceil(header.l1_span());
        let needed = snapshot.vm_state_bytes.div_ceil(header.l1_span());
        let entries = u64::from(snapshot.l1_entries);
        if first.checked_add(needed).is_none_or(|end| end > entries) {
            let bytes = snapshot.vm_state_bytes;
            let text = format!(
                "{bytes} bytes of VM state take {needed} L1 entries from entry {first} on, the table has {entries}"
            );
            return Err(Error::new(ErrorKind::Invalid(text.into()), snapshot.l1_offset));
        }
        let start = snapshot.l1_offset.saturating_add(first * L1_ENTRY);
        let bytes = read_vec(&file, start, needed * L1_ENTRY, LONGEST_L1, "bytes of L1 table")?;
        let entry = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().unwrap_or_default());
        let l1 = bytes.chunks_exact(size_of::<u64>()).map(entry).collect();
        let unpacked = Mutex::default();
        Ok(Self { file, header: *header, l1, len: snapshot.vm_state_bytes, unpacked })
    }

    /// Where the byte at `offset` is.
    fn locate(&self, offset: u64) -> io::Result<Place> {
        let l1_index = usize::try_from(offset / self.header.l1_span()).unwrap_or(usize::MAX);
        let table = self.l1.get(l1_index).copied().unwrap_or_default() & OFFSET;
        if table == 0 {
            return Ok(Place::Zeros);
        }
        let within = offset % self.header.cluster();
        let l2_index = offset % self.header.l1_span() / self.header.cluster();
        let at = self.aligned("L2 table", table)? + l2_index * self.header.l2_entry();
        let entry = self.read_u64(at)?;
        if entry & COMPRESSED != 0 {
            return Ok(Place::Compressed(entry));
        }
        let is_there = match self.header.has_subclusters {
            false => entry & ZERO == 0,
            // The low half of the bitmap says which are there, the high half which are zeros.
            true => {
                let bitmap = self.read_u64(at + size_of::<u64>() as u64)?;
                bitmap >> (within / self.piece()) & 1 == 1
            }
        };
        match entry & OFFSET {
            cluster if cluster == 0 || !is_there => Ok(Place::Zeros),
            cluster => Ok(Place::File(self.aligned("cluster", cluster)? + within)),
        }
    }

    /// Bytes that lie together for sure: those of a cluster or subcluster.
    fn piece(&self) -> u64 {
        match self.header.has_subclusters {
            true => self.header.cluster() / SUBCLUSTERS,
            false => self.header.cluster(),
        }
    }

    fn aligned(&self, what: &str, offset: u64) -> io::Result<u64> {
        let cluster = self.header.cluster();
        match offset.is_multiple_of(cluster) {
            true => Ok(offset),
            false => Err(invalid(format!(
                "qcow2: {what} at {offset:#x} of the file, expected a multiple of {cluster}; \
                 `qemu-img check` tells more"
            ))),
        }
    }

    fn read_u64(&self, at: u64) -> io::Result<u64> {
        let mut bytes = [0; size_of::<u64>()];
        self.read_file(at, &mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn read_file(&self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(at, buf).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                let (needed, len) = (buf.len(), self.file.len());
                let text = format!(
                    "qcow2: needs {needed} bytes at {at:#x} of the file, which has {len} bytes; \
                     is it complete?"
                );
                io::Error::new(io::ErrorKind::UnexpectedEof, text)
            }
            _ => error,
        })
    }

    /// Reads from `within` a compressed cluster.
    fn read_compressed(&self, entry: u64, within: u64, buf: &mut [u8]) -> io::Result<()> {
        let mut unpacked = self.unpacked.lock();
        let cluster = match unpacked.take().filter(|(known, _)| *known == entry) {
            Some((_, cluster)) => cluster,
            None => self.unpack(entry)?,
        };
        let (_, cluster) = unpacked.insert((entry, cluster));
        cluster.read_exact_at(within, buf)
    }

    fn unpack(&self, entry: u64) -> io::Result<Vec<u8>> {
        // The larger the clusters, the more bits of the entry are taken by the number of sectors.
        let offset_bits = 62 - (self.header.cluster_bits - 8);
        let offset = entry & ((1 << offset_bits) - 1);
        let sectors = ((entry & (COMPRESSED - 1)) >> offset_bits) + 1;
        let length = (sectors * SECTOR - offset % SECTOR).min(self.file.len().saturating_sub(offset));
        let mut packed = vec![0; usize::try_from(length).map_err(invalid)?];
        self.read_file(offset, &mut packed)?;
        let mut cluster = vec![0; usize::try_from(self.header.cluster()).map_err(invalid)?];
        let mut decoder: Box<dyn Read> = match self.header.compression {
            Compression::Deflate => Box::new(DeflateDecoder::new(packed.as_slice())),
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::new(packed.as_slice())?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Box::new(decoder)
            }
        };
        decoder.read_exact(&mut cluster).map_err(|error| {
            invalid(format!("qcow2: compressed cluster at {offset:#x} of the file: {error}"))
        })?;
        Ok(cluster)
    }
}

impl Source for VmState {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.len.saturating_sub(offset).min(self.piece() - offset % self.piece());
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        let Some(buf) = buf.get_mut(..count).filter(|buf| !buf.is_empty()) else { return Ok(0) };
        match self.locate(offset)? {
            Place::Zeros => buf.fill(0),
            Place::File(at) => self.read_file(at, buf)?,
            Place::Compressed(entry) => self.read_compressed(entry, offset % self.header.cluster(), buf)?,
        }
        Ok(count)
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
