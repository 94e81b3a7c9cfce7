//! What a command does with the blocks of a disk (SBC-3 §5).

use std::io::{self, Read, Write};

use vm_memory::GuestMemory;

use super::command::{Command, Extent};
use super::sense::Sense;
use crate::device::disk::{self, Disk, SECTOR, pieces};
use crate::ring::{Reader, Writer};

/// Bytes of a block.
const BLOCK: usize = 512;
const _: () = assert!(BLOCK as u64 == SECTOR);
/// The most blocks that one segment of UNMAP, or WRITE SAME, may name; and the most segments.
pub(super) const MOST_UNMAPPED: u32 = 1 << 16;
pub(super) const MOST_SEGMENTS: u32 = 32;
/// Bytes of UNMAP's parameters before its segments, and of each (SBC-3 §5.28.2).
const UNMAP_HEAD: u64 = 8;
const UNMAP_SEGMENT: u64 = 16;

/// Why a command was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// The driver asked for what cannot be.
    Check(Sense),
    /// The disk failed: the request may be tried again.
    Disk(io::Error),
}

impl From<io::Error> for Failure {
    /// Guest memory was checked when the chain was taken: what fails is the disk.
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl From<Sense> for Failure {
    fn from(sense: Sense) -> Self {
        Self::Check(sense)
    }
}

/// What a driver is told whose disk failed.
pub(super) fn sense_of(error: &io::Error, command: &Command) -> Sense {
    match (error.kind(), command) {
        (io::ErrorKind::StorageFull, _) => Sense::SPACE_ALLOCATION_FAILED,
        (_, Command::Read(_) | Command::Verify { .. }) => Sense::READ_ERROR,
        _ => Sense::WRITE_ERROR,
    }
}

/// Does a command of the medium. Gives how many bytes of data were moved; the buffers are large enough.
pub(super) fn serve<M: GuestMemory>(
    command: &Command,
    mut reader: Reader<'_, M>,
    mut writer: Writer<'_, M>,
    disk: &mut dyn Disk,
) -> Result<u64, Failure> {
    match *command {
        Command::Read(at) => {
            let offset = place(at, disk)?;
            pieces(offset, at.bytes(), |offset, buffer| {
                disk.read(offset, buffer)?;
                writer.write_all(buffer)
            })?;
            Ok(at.bytes())
        }
        Command::Write { at, fua } => {
            let offset = place(at, disk)?;
            writable(disk)?;
            pieces(offset, at.bytes(), |offset, buffer| {
                reader.read_exact(buffer)?;
                disk.write(offset, buffer)
            })?;
            if fua {
                disk.flush()?;
            }
            Ok(at.bytes())
        }
        Command::Verify { at, compare } => {
            let offset = place(at, disk)?;
            let mut is_same = true;
            pieces(offset, at.bytes(), |offset, buffer| {
                disk.read(offset, buffer)?;
                if compare {
                    let mut given = vec![0; buffer.len()];
                    reader.read_exact(&mut given)?;
                    is_same &= given == buffer;
                }
                Ok(())
            })?;
            if !is_same {
                return Err(Sense::MISCOMPARE.into());
            }
            Ok(if compare { at.bytes() } else { 0 })
        }
        Command::SynchronizeCache => {
            disk.flush()?;
            Ok(0)
        }
        Command::Unmap { given } => {
            writable(disk)?;
            unmap(given, &mut reader, disk)?;
            Ok(given)
        }
        Command::WriteSame { at, given } => {
            if at.blocks == 0 || at.blocks > MOST_UNMAPPED {
                return Err(Sense::INVALID_FIELD_IN_CDB.into());
            }
            let offset = place(at, disk)?;
            writable(disk)?;
            let mut block = [0; BLOCK];
            if given > 0 {
                reader.read_exact(&mut block)?;
            }
            pieces(offset, at.bytes(), |offset, buffer| {
                buffer.chunks_mut(block.len()).for_each(|to| to.copy_from_slice(&block));
                disk.write(offset, buffer)
            })?;
            Ok(given)
        }
        // All others are not of the medium.
        _ => Err(Sense::INVALID_OPCODE.into()),
    }
}

/// UNMAP (SBC-3 §5.28): what is unmapped is zero from now on. Nothing is done unless all can be.
fn unmap<M: GuestMemory>(given: u64, reader: &mut Reader<'_, M>, disk: &mut dyn Disk) -> Result<(), Failure> {
    if given == 0 {
        return Ok(());
    }
    if given < UNMAP_HEAD {
        return Err(Sense::PARAMETER_LIST_LENGTH.into());
    }
    reader.skip(2);
    let length = u64::from(u16::from_be_bytes(reader.array()?));
    reader.skip(4);
    let segments = length / UNMAP_SEGMENT;
    if length > given - UNMAP_HEAD || segments > MOST_SEGMENTS.into() {
        return Err(Sense::INVALID_FIELD_IN_PARAMETERS.into());
    }
    let mut ranges = Vec::new();
    for _ in 0..segments {
        let at =
            Extent { lba: u64::from_be_bytes(reader.array()?), blocks: u32::from_be_bytes(reader.array()?) };
        reader.skip(4);
        if at.blocks > MOST_UNMAPPED {
            return Err(Sense::INVALID_FIELD_IN_PARAMETERS.into());
        }
        ranges.push((place(at, disk)?, at.bytes()));
    }
    for (offset, length) in ranges {
        disk::clear(offset, length, disk)?;
    }
    Ok(())
}

/// Where blocks are on the disk, in bytes.
fn place(at: Extent, disk: &dyn Disk) -> Result<u64, Sense> {
    disk::place(at.lba, at.blocks.into(), disk).ok_or(Sense::LBA_OUT_OF_RANGE)
}

fn writable(disk: &dyn Disk) -> Result<(), Sense> {
    if disk.is_read_only() { Err(Sense::WRITE_PROTECTED) } else { Ok(()) }
}
