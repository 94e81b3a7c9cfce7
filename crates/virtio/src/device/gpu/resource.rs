//! Resources of a GPU: images on the host, and blobs of guest memory.

use serde::{Deserialize, Serialize};
use vmstate::VmState;
use vmstate::types::Counted;

use crate::device::bytes::Bytes;
use crate::device::zero_terminated::ZeroTerminated;

/// Bytes of a pixel, in each of the formats there are.
const BYTES_PER_PIXEL: u64 = 4;

/// A 2D resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "resource")]
pub struct Resource {
    /// Its number; not 0.
    pub resource_id: u32,
    /// Columns of pixels.
    pub width: u32,
    /// Rows of pixels.
    pub height: u32,
    /// The form of a pixel (`enum virtio_gpu_formats`).
    pub format: u32,
    /// Guest memory that backs it.
    pub iov: Counted<u32, MemEntry>,
    /// Its pixels on the host, row by row.
    #[vmstate(count = BYTES_PER_PIXEL.saturating_mul(width.into()).saturating_mul(height.into()))]
    pub pixels: Bytes,
}

/// `virtio-gpu/blob`: resources that are guest memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio-gpu/blob")]
pub struct Blobs {
    /// The resources, as the stream has them: QEMU turns their order around with each load.
    #[vmstate(rename = "virtio-gpu/blob")]
    pub resources: ZeroTerminated<Blob, 4>,
}

/// A resource that is guest memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "blob")]
pub struct Blob {
    /// Its number; not 0.
    pub resource_id: u32,
    /// Bytes.
    pub blob_size: u32,
    /// The memory.
    pub iov: Counted<u32, MemEntry>,
}

/// A piece of guest memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio_gpu_mem_entry")]
pub struct MemEntry {
    /// Guest-physical address.
    #[serde(with = "crate::address")]
    pub addr: u64,
    /// Bytes.
    pub length: u32,
}
