//! Making qcow2 images with VM state.

use std::io::Write;

/// Bytes of the disk: no multiple of anything.
const DISK_BYTES: u64 = 5_000_000;

/// How an image is laid out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) version: u32,
    pub(crate) cluster_bits: u32,
    pub(crate) clusters: Clusters,
}

/// How the clusters are stored. Those of zeros are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clusters {
    Plain,
    /// Those of zeros are there, with other content, and are marked as zeros.
    MarkedZeros,
    Subclusters,
    Deflate,
    Zstd,
}

/// A snapshot to be: id, name, VM state.
pub(crate) type Entry<'a> = (&'a str, &'a str, &'a [u8]);

/// An image with these snapshots.
pub(crate) fn image(layout: Layout, snapshots: &[Entry<'_>]) -> Vec<u8> {
    let mut image = Image { layout, file: vec![0; layout.cluster()] };
    let mut table = Vec::new();
    for (index, (id, name, state)) in (0..).zip(snapshots) {
        let (l1_offset, l1_entries) = image.add_state(state);
        table.extend(l1_offset.to_be_bytes());
        table.extend(l1_entries.to_be_bytes());
        table.extend(u16::try_from(id.len()).unwrap().to_be_bytes());
        table.extend(u16::try_from(name.len()).unwrap().to_be_bytes());
        table.extend([1_700_000_000_u32 + index, 500].map(u32::to_be_bytes).concat());
        table.extend(1_500_000_000_u64.to_be_bytes());
        let length = state.len() as u64;
        if layout.version == 2 {
            table.extend([u32::try_from(length).unwrap(), 0].map(u32::to_be_bytes).concat());
        } else {
            // The short length is not looked at if there is a long one.
            table.extend([77_u32, 24].map(u32::to_be_bytes).concat());
            table.extend([length, DISK_BYTES, u64::MAX].map(u64::to_be_bytes).concat());
        }
        table.extend(id.bytes().chain(name.bytes()));
        table.resize(table.len().next_multiple_of(8), 0);
    }
    let table = image.add(&table);
    let header = layout.header(u32::try_from(snapshots.len()).unwrap(), table);
    image.file[..header.len()].copy_from_slice(&header);
    image.file
}

impl Layout {
    fn cluster(self) -> usize {
        1 << self.cluster_bits
    }

    fn l2_entry(self) -> usize {
        if self.clusters == Clusters::Subclusters { 16 } else { 8 }
    }

    fn l1_span(self) -> usize {
        self.cluster() / self.l2_entry() * self.cluster()
    }

    fn header(self, snapshots: u32, snapshots_offset: u64) -> Vec<u8> {
        let mut header = b"QFI\xfb".to_vec();
        header.extend(self.version.to_be_bytes());
        header.extend([0; 12]); // no backing file
        header.extend(self.cluster_bits.to_be_bytes());
        // A disk that was made larger after the snapshots, of which version 2 does not tell.
        let bytes = if self.version == 2 { DISK_BYTES } else { DISK_BYTES * 100 };
        header.extend(bytes.to_be_bytes());
        header.extend([0; 4 + 4 + 8 + 8 + 4]); // no encryption, and tables that nobody looks at
        header.extend(snapshots.to_be_bytes());
        header.extend(snapshots_offset.to_be_bytes());
        if self.version > 2 {
            let incompatible: u64 = match self.clusters {
                Clusters::Subclusters => 1 << 4,
                Clusters::Zstd => 1 << 3,
                _ => 0,
            };
            header.extend([incompatible, 0, 0].map(u64::to_be_bytes).concat());
            header.extend([4_u32, 112].map(u32::to_be_bytes).concat());
            header.extend([u8::from(self.clusters == Clusters::Zstd), 0, 0, 0, 0, 0, 0, 0]);
        }
        header
    }
}

struct Image {
    layout: Layout,
    file: Vec<u8>,
}

impl Image {
    /// Adds what starts at a cluster, and says where.
    fn add(&mut self, bytes: &[u8]) -> u64 {
        let offset = self.file.len().next_multiple_of(self.layout.cluster());
        self.file.resize(offset, 0xee);
        self.file.extend(bytes);
        offset as u64
    }

    /// Adds VM state with its tables; says where its L1 table is, and how many entries that has.
    fn add_state(&mut self, state: &[u8]) -> (u64, u32) {
        let cluster = self.layout.cluster();
        let disk_entries = usize::try_from(DISK_BYTES).unwrap().div_ceil(self.layout.l1_span());
        // Entries of the disk, which must not be followed.
        let mut l1 = vec![0xfe00; disk_entries];
        for part in state.chunks(self.layout.l1_span()) {
            let mut l2 = Vec::new();
            for content in part.chunks(cluster) {
                let entry = self.add_cluster(content);
                l2.extend(entry.iter().flat_map(|half| half.to_be_bytes()));
            }
            l2.resize(cluster, 0);
            let is_empty = l2.iter().all(|&byte| byte == 0);
            l1.push(if is_empty { 0 } else { self.add(&l2) | 1 << 63 });
        }
        let bytes: Vec<u8> = l1.iter().flat_map(|entry: &u64| entry.to_be_bytes()).collect();
        (self.add(&bytes), u32::try_from(l1.len()).unwrap())
    }

    /// Adds a cluster, and makes its L2 entry.
    fn add_cluster(&mut self, content: &[u8]) -> Vec<u64> {
        let is_zeros = content.iter().all(|&byte| byte == 0);
        match self.layout.clusters {
            Clusters::Subclusters => self.add_subclusters(content),
            Clusters::MarkedZeros if is_zeros => vec![self.add(&[0x77; 512]) | 1 << 63 | 1],
            _ if is_zeros => vec![0],
            Clusters::Plain | Clusters::MarkedZeros => vec![self.add(content) | 1 << 63],
            Clusters::Deflate | Clusters::Zstd => vec![self.add_compressed(content)],
        }
    }

    fn add_subclusters(&mut self, content: &[u8]) -> Vec<u64> {
        let mut stored = content.to_vec();
        let mut bitmap = 0;
        for (index, part) in stored.chunks_mut(self.layout.cluster() / 32).enumerate() {
            match part.iter().any(|&byte| byte != 0) {
                true => bitmap |= 1 << index,
                // Neither bit, or the bit for zeros: content that must not be shown.
                false => {
                    part.fill(0x77);
                    bitmap |= u64::from(index % 2 == 0) << (32 + index);
                }
            }
        }
        match bitmap & u64::from(u32::MAX) {
            0 => vec![0, bitmap],
            _ => vec![self.add(&stored) | 1 << 63, bitmap],
        }
    }

    /// Adds a compressed cluster right behind what is there.
    fn add_compressed(&mut self, content: &[u8]) -> u64 {
        let mut whole = content.to_vec();
        whole.resize(self.layout.cluster(), 0);
        let packed = match self.layout.clusters {
            Clusters::Zstd => zstd::encode_all(whole.as_slice(), 1).unwrap(),
            _ => {
                let mut out = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
                out.write_all(&whole).unwrap();
                out.finish().unwrap()
            }
        };
        self.file.resize(self.file.len() + 5, 0xee);
        let offset = self.file.len();
        let sectors = (offset % 512 + packed.len()).div_ceil(512) - 1;
        let offset_bits = 62 - (self.layout.cluster_bits - 8);
        self.file.extend(packed);
        1 << 62 | (sectors as u64) << offset_bits | offset as u64
    }
}
