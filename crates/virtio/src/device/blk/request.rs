//! What a driver asks of a block device (virtio 1.3 §5.2.6), and how it is served.

use std::io::{self, Read, Write};

use vm_memory::GuestMemory;

use super::HEADER;
use crate::core::Endianness;
use crate::device::disk::{self, Disk, SECTOR, pieces};
use crate::ring::Chain;

/// Types of requests.
mod kind {
    pub(super) const IN: u32 = 0;
    pub(super) const OUT: u32 = 1;
    pub(super) const FLUSH: u32 = 4;
    pub(super) const GET_ID: u32 = 8;
    pub(super) const DISCARD: u32 = 11;
    pub(super) const WRITE_ZEROES: u32 = 13;
}

/// What a request is, as its first [`HEADER`] bytes say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    kind: u32,
    sector: u64,
}

impl Header {
    /// Of a chain that is not [`malformed`].
    pub(super) fn read<M: GuestMemory>(
        chain: &Chain,
        memory: &M,
        endianness: Endianness,
    ) -> io::Result<Self> {
        let mut reader = chain.reader(memory);
        let kind = endianness.u32(reader.array()?);
        reader.skip(4);
        Ok(Self { kind, sector: endianness.u64(reader.array()?) })
    }

    /// The type, in a word; `None` if it is not known here.
    pub(super) fn name(self) -> Option<&'static str> {
        match self.kind {
            kind::IN => Some("read"),
            kind::OUT => Some("write"),
            kind::FLUSH => Some("flush"),
            kind::GET_ID => Some("get-id"),
            kind::DISCARD => Some("discard"),
            kind::WRITE_ZEROES => Some("write-zeroes"),
            _ => None,
        }
    }

    /// Whether any device with the same data gives the same answer: not if the type is not known here, nor if it is
    /// asked what the disk is called.
    pub(super) fn is_answered_alike(self) -> bool {
        self.kind != kind::GET_ID && self.name().is_some()
    }
}

/// What the driver is told.
pub(super) mod status {
    pub(in super::super) const OK: u8 = 0;
    pub(in super::super) const IOERR: u8 = 1;
    pub(in super::super) const UNSUPP: u8 = 2;
}

/// Bytes of an identifier (§5.2.6).
const ID: usize = 20;
/// The most sectors that one segment discards or makes zero, and the most segments.
pub(super) const MOST_SECTORS: u32 = 1 << 16;
pub(super) const MOST_SEGMENTS: u32 = 32;
/// Bytes of such a segment: le64 sector, le32 sectors, le32 flags.
const SEGMENT: u64 = 16;

/// Why a request was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// The driver asked for what cannot be; this is the status.
    Status(u8),
    /// The disk failed: the request may be tried again.
    Disk(io::Error),
}

impl From<io::Error> for Failure {
    /// Guest memory was checked when the chain was taken: what fails is the disk.
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

/// Why a chain is no request at all.
pub(super) fn malformed(chain: &Chain) -> Option<String> {
    let is_one = chain.readable_len() >= HEADER && chain.writable_len() >= 1;
    (!is_one).then(|| format!("a request without room for its header of {HEADER} bytes and its status byte"))
}

/// Serves a request as far as its status byte. Gives how many bytes of data were written into its buffers.
pub(super) fn serve<M: GuestMemory>(
    Header { kind, sector }: Header,
    chain: &Chain,
    memory: &M,
    endianness: Endianness,
    serial: &str,
    disk: &mut dyn Disk,
) -> Result<u64, Failure> {
    let mut reader = chain.reader(memory);
    reader.skip(HEADER);
    match kind {
        kind::IN => read(chain, memory, sector, disk),
        kind::OUT => {
            let length = reader.remaining();
            let offset = place(sector, length, disk)?;
            writable(disk)?;
            pieces(offset, length, |at, buffer| {
                reader.read_exact(buffer)?;
                disk.write(at, buffer)
            })?;
            Ok(0)
        }
        kind::FLUSH => disk.flush().map(|()| 0).map_err(Failure::Disk),
        kind::GET_ID => {
            let mut id = [0; ID];
            id.iter_mut().zip(serial.bytes()).for_each(|(to, from)| *to = from);
            let room = usize::try_from(chain.writable_len() - 1).unwrap_or(ID).min(ID);
            chain.writer(memory).write_all(id.get(..room).unwrap_or_default())?;
            Ok(room as u64)
        }
        kind::DISCARD | kind::WRITE_ZEROES => {
            writable(disk)?;
            let length = reader.remaining();
            if length == 0 || !length.is_multiple_of(SEGMENT) || length / SEGMENT > MOST_SEGMENTS.into() {
                return Err(Failure::Status(status::IOERR));
            }
            for _ in 0..length / SEGMENT {
                let sector = endianness.u64(reader.array()?);
                let [sectors, flags] = [reader.array()?, reader.array()?].map(|bytes| endianness.u32(bytes));
                // Bit 0, unmap, is a permission; it makes no sense for a discard, and no other is known.
                if flags & !1 != 0 || (kind == kind::DISCARD && flags != 0) {
                    return Err(Failure::Status(status::UNSUPP));
                }
                if sectors > MOST_SECTORS {
                    return Err(Failure::Status(status::IOERR));
                }
                let length = u64::from(sectors) * SECTOR;
                let offset = place(sector, length, disk)?;
                // What is discarded may read as anything: zeros are the best answer.
                disk::clear(offset, length, disk)?;
            }
            Ok(0)
        }
        _ => Err(Failure::Status(status::UNSUPP)),
    }
}

fn read<M: GuestMemory>(chain: &Chain, memory: &M, sector: u64, disk: &mut dyn Disk) -> Result<u64, Failure> {
    // The last byte is the status.
    let length = chain.writable_len() - 1;
    let offset = place(sector, length, disk)?;
    let mut writer = chain.writer(memory);
    pieces(offset, length, |at, buffer| {
        disk.read(at, buffer)?;
        writer.write_all(buffer)
    })?;
    Ok(length)
}

/// Writes the status byte, which is the last of the chain; gives what the chain is returned with.
pub(super) fn finish<M: GuestMemory>(chain: &Chain, memory: &M, status: u8, data: u64) -> u32 {
    let mut writer = chain.writer(memory);
    writer.skip(chain.writable_len() - 1);
    // It lies in memory: that was checked when the chain was taken.
    let _ = writer.write_all(&[status]);
    u32::try_from(data.saturating_add(1)).unwrap_or(u32::MAX)
}

/// Where a request's data is on the disk, if it is whole sectors and there.
fn place(sector: u64, length: u64, disk: &dyn Disk) -> Result<u64, Failure> {
    let place = disk::place(sector, length / SECTOR, disk).filter(|_| length.is_multiple_of(SECTOR));
    place.ok_or(Failure::Status(status::IOERR))
}

fn writable(disk: &dyn Disk) -> Result<(), Failure> {
    if disk.is_read_only() { Err(Failure::Status(status::IOERR)) } else { Ok(()) }
}
