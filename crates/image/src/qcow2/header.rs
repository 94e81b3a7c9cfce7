//! The header of an image: what it says of clusters and snapshots, and what is refused.

use vmstate::source::{Source, read_vec};
use vmstate::{ErrorKind, Reader, Result};

/// The first bytes of an image.
pub(super) const MAGIC: [u8; 4] = *b"QFI\xfb";

const VERSIONS: std::ops::RangeInclusive<u32> = 2..=3;
/// Bytes of the header of version 2, and those of version 3 up to the type of compression.
const BYTES_V2: u64 = 72;
const BYTES_V3: u64 = 104;
/// Clusters of 512 bytes to 2 MiB, which are the largest that QEMU makes.
const CLUSTER_BITS: std::ops::RangeInclusive<u32> = 9..=21;
/// As many as QEMU allows.
const MOST_SNAPSHOTS: u32 = 65_536;

/// Incompatible features: who does not know one cannot read the image.
const DIRTY: u64 = 1 << 0;
const CORRUPT: u64 = 1 << 1;
const EXTERNAL_DATA_FILE: u64 = 1 << 2;
const COMPRESSION_TYPE: u64 = 1 << 3;
const EXTENDED_L2: u64 = 1 << 4;
const KNOWN: u64 = DIRTY | CORRUPT | EXTERNAL_DATA_FILE | COMPRESSION_TYPE | EXTENDED_L2;

/// What to do with an image whose snapshots cannot be read here.
const INSTEAD: &str = "load the snapshot in QEMU (`loadvm`) and migrate to a file";

/// How clusters are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    /// Deflate without a zlib header.
    Deflate,
    Zstd,
}

/// What a header says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    /// The size of a cluster, as a power of two.
    pub(super) cluster_bits: u32,
    /// Bytes of the disk.
    pub(super) disk_bytes: u64,
    pub(super) snapshots: u32,
    /// Where the snapshot table starts in the file.
    pub(super) snapshots_offset: u64,
    pub(super) compression: Compression,
    /// L2 entries have a second half: a bitmap of 32 subclusters.
    pub(super) has_subclusters: bool,
}

impl Header {
    /// Reads the header of an image.
    pub(super) fn read(file: &dyn Source) -> Result<Self> {
        let bytes = read_vec(file, 0, BYTES_V2, BYTES_V2, "bytes of header")?;
        let mut input = Reader::new(&bytes, 0);
        input.bytes(MAGIC.len())?;
        let at = input.clone();
        let version = input.u32()?;
        if !VERSIONS.contains(&version) {
            let (minimum, newest) = (*VERSIONS.start(), *VERSIONS.end());
            let kind = ErrorKind::Version { found: version, minimum, version: newest };
            return Err(at.fail(kind).in_field("version"));
        }
        input.bytes(12)?; // backing file: its offset and the length of its name
        let at_bits = input.clone();
        let cluster_bits = input.u32()?;
        let disk_bytes = input.u64()?;
        let at_method = input.clone();
        let encryption = input.u32()?;
        if encryption != 0 {
            let what = if encryption == 2 { "an image encrypted with LUKS" } else { "an encrypted image" };
            return Err(at_method.fail(refused(what)).in_field("crypt_method"));
        }
        // Active L1 table (length, offset), refcount table (offset, length).
        input.bytes(4 + 8 + 8 + 4)?;
        let at_snapshots = input.clone();
        let snapshots = input.u32()?;
        if snapshots > MOST_SNAPSHOTS {
            let (found, limit) = (snapshots.into(), MOST_SNAPSHOTS.into());
            let kind = ErrorKind::TooMany { what: "snapshots", found, limit };
            return Err(at_snapshots.fail(kind).in_field("nb_snapshots"));
        }
        let snapshots_offset = input.u64()?;
        let (compression, has_subclusters) = match version {
            2 => (Compression::Deflate, false),
            _ => features(file)?,
        };
        let smallest = if has_subclusters { 14 } else { *CLUSTER_BITS.start() };
        if !(smallest..=*CLUSTER_BITS.end()).contains(&cluster_bits) {
            let (found, expected) =
                (cluster_bits.to_string(), format!("{smallest} to {}", CLUSTER_BITS.end()));
            return Err(at_bits.fail(ErrorKind::NotEqual { found, expected }).in_field("cluster_bits"));
        }
        Ok(Self { cluster_bits, disk_bytes, snapshots, snapshots_offset, compression, has_subclusters })
    }

    /// Bytes of a cluster.
    pub(super) fn cluster(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// Bytes of an entry of an L2 table.
    pub(super) fn l2_entry(&self) -> u64 {
        if self.has_subclusters { 16 } else { 8 }
    }

    /// Bytes of the disk that an L1 entry stands for: an L2 table takes a cluster.
    pub(super) fn l1_span(&self) -> u64 {
        self.cluster() / self.l2_entry() * self.cluster()
    }
}

/// What version 3 adds: how clusters are compressed, and whether they have subclusters.
fn features(file: &dyn Source) -> Result<(Compression, bool)> {
    let bytes = read_vec(file, BYTES_V2, BYTES_V3 - BYTES_V2, BYTES_V3, "bytes of header")?;
    let mut input = Reader::new(&bytes, BYTES_V2);
    let at = input.clone();
    let refuse = |what: &str| Err(at.fail(refused(what)).in_field("incompatible_features"));
    let incompatible = input.u64()?;
    if incompatible & EXTERNAL_DATA_FILE != 0 {
        return refuse("an image with an external data file");
    }
    if incompatible & !KNOWN != 0 {
        return refuse(&format!("an image with the unknown features {:#x}", incompatible & !KNOWN));
    }
    let compression = match incompatible & COMPRESSION_TYPE {
        0 => Compression::Deflate,
        _ => match read_vec(file, BYTES_V3, 1, 1, "bytes of header")?.as_slice() {
            [1] => Compression::Zstd,
            _ => return refuse("an image with an unknown compression"),
        },
    };
    Ok((compression, incompatible & EXTENDED_L2 != 0))
}

fn refused(what: &str) -> ErrorKind {
    ErrorKind::Invalid(format!("{what} is not supported; {INSTEAD}").into())
}
