//! What a command descriptor block asks of a disk (SPC-4 §6, SBC-3 §5).

use super::sense::Sense;
use crate::companion::Cdb;
use crate::device::disk::SECTOR;

/// A range of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) lba: u64,
    pub(super) blocks: u32,
}

impl Extent {
    /// Bytes of its blocks.
    pub(super) fn bytes(self) -> u64 {
        u64::from(self.blocks) * SECTOR
    }
}

/// A command. Lengths are in bytes: of what there is room for, or of what the driver gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    TestUnitReady,
    /// START STOP UNIT: nothing is to be done.
    StartStop,
    RequestSense {
        in_descriptors: bool,
        room: u64,
    },
    Inquiry {
        /// The page of vital product data, if one is asked for.
        page: Option<u8>,
        room: u64,
    },
    ReadCapacity10,
    ReadCapacity16 {
        room: u64,
    },
    ModeSense {
        /// MODE SENSE(10), with a longer header.
        is_long: bool,
        /// Page control: current, changeable, default or saved values.
        control: u8,
        page: u8,
        subpage: u8,
        /// Whether the size of a block is told.
        with_block: bool,
        room: u64,
    },
    ReportLuns {
        select: u8,
        room: u64,
    },
    Read(Extent),
    Write {
        at: Extent,
        /// Force unit access: it must last.
        fua: bool,
    },
    Verify {
        at: Extent,
        /// Whether the blocks are compared with what the driver gives.
        compare: bool,
    },
    SynchronizeCache,
    Unmap {
        given: u64,
    },
    WriteSame {
        at: Extent,
        /// Bytes of the block that is written; 0: zeros are.
        given: u64,
    },
}

/// Where a command's data goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transfer {
    ToDriver(u64),
    ToDevice(u64),
}

impl Command {
    /// Takes a command descriptor block apart.
    pub(super) fn of(cdb: Cdb) -> Result<Self, Sense> {
        let [opcode, flags, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, ..] = cdb.0;
        let length_10 = u16::from_be_bytes([b7, b8]);
        let length_12 = u32::from_be_bytes([b6, b7, b8, b9]);
        let length_16 = u32::from_be_bytes([b10, b11, b12, b13]);
        let extent_6 = Extent {
            lba: u32::from_be_bytes([0, flags & 0x1f, b2, b3]).into(),
            blocks: if b4 == 0 { 256 } else { b4.into() },
        };
        let lba_10 = u32::from_be_bytes([b2, b3, b4, b5]).into();
        let lba_16 = u64::from_be_bytes([b2, b3, b4, b5, b6, b7, b8, b9]);
        let extent_10 = Extent { lba: lba_10, blocks: length_10.into() };
        let extent_12 = Extent { lba: lba_10, blocks: length_12 };
        let extent_16 = Extent { lba: lba_16, blocks: length_16 };
        let fua = flags & 8 != 0;
        let mode = |is_long, room| Self::ModeSense {
            is_long,
            control: b2 >> 6,
            page: b2 & 0x3f,
            subpage: b3,
            with_block: flags & 8 == 0,
            room,
        };
        let verify = |at| match flags >> 1 & 3 {
            0 => Ok(Self::Verify { at, compare: false }),
            1 => Ok(Self::Verify { at, compare: true }),
            _ => Err(Sense::INVALID_FIELD_IN_CDB),
        };
        let same = |at| Self::WriteSame { at, given: cdb.parameter_length() };
        let command = match opcode {
            Cdb::TEST_UNIT_READY => return Ok(Self::TestUnitReady),
            Cdb::START_STOP_UNIT => return Ok(Self::StartStop),
            Cdb::REQUEST_SENSE => {
                return Ok(Self::RequestSense { in_descriptors: flags & 1 != 0, room: b4.into() });
            }
            Cdb::INQUIRY => {
                let room = u16::from_be_bytes([b3, b4]).into();
                return match (flags & 1, b2) {
                    (1, page) => Ok(Self::Inquiry { page: Some(page), room }),
                    (_, 0) => Ok(Self::Inquiry { page: None, room }),
                    _ => Err(Sense::INVALID_FIELD_IN_CDB),
                };
            }
            Cdb::READ_CAPACITY_10 => return Ok(Self::ReadCapacity10),
            Cdb::SERVICE_ACTION_IN_16 if flags & 0x1f == Cdb::READ_CAPACITY_16_ACTION => {
                return Ok(Self::ReadCapacity16 { room: length_16.into() });
            }
            Cdb::SERVICE_ACTION_IN_16 => return Err(Sense::INVALID_FIELD_IN_CDB),
            Cdb::MODE_SENSE_6 => return Ok(mode(false, b4.into())),
            Cdb::MODE_SENSE_10 => return Ok(mode(true, length_10.into())),
            Cdb::REPORT_LUNS => return Ok(Self::ReportLuns { select: b2, room: length_12.into() }),
            Cdb::SYNCHRONIZE_CACHE_10 | Cdb::SYNCHRONIZE_CACHE_16 => return Ok(Self::SynchronizeCache),
            Cdb::UNMAP => return Ok(Self::Unmap { given: cdb.parameter_length() }),
            // These have no flags.
            Cdb::READ_6 => return Ok(Self::Read(extent_6)),
            Cdb::WRITE_6 => return Ok(Self::Write { at: extent_6, fua: false }),
            Cdb::READ_10 => Self::Read(extent_10),
            Cdb::READ_12 => Self::Read(extent_12),
            Cdb::READ_16 => Self::Read(extent_16),
            Cdb::WRITE_10 => Self::Write { at: extent_10, fua },
            Cdb::WRITE_12 => Self::Write { at: extent_12, fua },
            Cdb::WRITE_16 => Self::Write { at: extent_16, fua },
            // What is written is there: a disk that could not keep it has said so.
            Cdb::WRITE_AND_VERIFY_10 => Self::Write { at: extent_10, fua: true },
            Cdb::WRITE_AND_VERIFY_12 => Self::Write { at: extent_12, fua: true },
            Cdb::WRITE_AND_VERIFY_16 => Self::Write { at: extent_16, fua: true },
            Cdb::VERIFY_10 => verify(extent_10)?,
            Cdb::VERIFY_12 => verify(extent_12)?,
            Cdb::VERIFY_16 => verify(extent_16)?,
            Cdb::WRITE_SAME_10 => same(extent_10),
            Cdb::WRITE_SAME_16 => same(extent_16),
            _ => return Err(Sense::INVALID_OPCODE),
        };
        // Protection information, which no block here has.
        if flags & 0xe0 == 0 { Ok(command) } else { Err(Sense::INVALID_FIELD_IN_CDB) }
    }

    /// Where its data goes, and how much there is at most; `None` if there is none.
    pub(super) fn transfer(&self) -> Option<Transfer> {
        let transfer = match *self {
            Self::TestUnitReady
            | Self::StartStop
            | Self::SynchronizeCache
            | Self::Verify { compare: false, .. } => return None,
            Self::RequestSense { room, .. }
            | Self::Inquiry { room, .. }
            | Self::ReadCapacity16 { room }
            | Self::ModeSense { room, .. }
            | Self::ReportLuns { room, .. } => Transfer::ToDriver(room),
            Self::ReadCapacity10 => Transfer::ToDriver(8),
            Self::Read(at) => Transfer::ToDriver(at.bytes()),
            Self::Write { at, .. } | Self::Verify { at, .. } => Transfer::ToDevice(at.bytes()),
            Self::Unmap { given } | Self::WriteSame { given, .. } => Transfer::ToDevice(given),
        };
        (!matches!(transfer, Transfer::ToDriver(0) | Transfer::ToDevice(0))).then_some(transfer)
    }

    /// Whether it reads or changes what is on the medium, and so may fail with the disk.
    pub(super) fn is_of_medium(&self) -> bool {
        self.moved_blocks().is_some()
            || matches!(self, Self::SynchronizeCache | Self::Unmap { .. } | Self::WriteSame { .. })
    }

    /// The blocks that it moves between driver and medium, or compares.
    pub(super) fn moved_blocks(&self) -> Option<Extent> {
        match *self {
            Self::Read(at) | Self::Write { at, .. } | Self::Verify { at, .. } => Some(at),
            _ => None,
        }
    }

    /// Whether a logical unit that has something to tell (a unit attention) does the command all the same, and keeps
    /// it (SAM-5 §5.14).
    pub(super) fn passes_attention(&self) -> bool {
        matches!(self, Self::Inquiry { .. } | Self::ReportLuns { .. } | Self::RequestSense { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Result<Command, Sense> {
        let mut cdb = Cdb::default();
        cdb.0[..bytes.len()].copy_from_slice(bytes);
        Command::of(cdb)
    }

    #[test]
    fn finds_blocks_in_commands_of_all_lengths() {
        let at = |lba, blocks| Command::Read(Extent { lba, blocks });
        assert_eq!(of(&[0x08, 0xe1, 2, 3, 4]), Ok(at(0x1_0203, 4)), "the upper bits were a LUN once");
        assert_eq!(of(&[0x08, 0, 0, 0, 0]), Ok(at(0, 256)));
        assert_eq!(of(&[0x28, 0, 1, 2, 3, 4, 0, 5, 6]), Ok(at(0x0102_0304, 0x506)));
        assert_eq!(of(&[0xa8, 0, 1, 2, 3, 4, 5, 6, 7, 8]), Ok(at(0x0102_0304, 0x0506_0708)));
        assert_eq!(
            of(&[0x88, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
            Ok(at(0x0102_0304_0506_0708, 0x090a_0b0c))
        );
    }

    #[test]
    fn knows_where_data_goes() {
        for (bytes, transfer) in [
            (&[0x28, 0, 0, 0, 0, 0, 0, 0, 2][..], Some(Transfer::ToDriver(1024))),
            (&[0x2a, 0, 0, 0, 0, 0, 0, 0, 2], Some(Transfer::ToDevice(1024))),
            (&[0x2a, 0, 0, 0, 0, 0, 0, 0, 0], None),
            (&[0x2f, 0, 0, 0, 0, 0, 0, 0, 2], None),
            (&[0x2f, 2, 0, 0, 0, 0, 0, 0, 2], Some(Transfer::ToDevice(1024))),
            (&[0x42, 0, 0, 0, 0, 0, 0, 0, 24], Some(Transfer::ToDevice(24))),
            (&[0x93, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], Some(Transfer::ToDevice(512))),
            (&[0x93, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], None),
            (&[0x12, 0, 0, 1, 0], Some(Transfer::ToDriver(256))),
        ] {
            assert_eq!(of(bytes).unwrap().transfer(), transfer, "{bytes:x?}");
        }
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        assert_eq!(of(&[0xff]), Err(Sense::INVALID_OPCODE));
        assert_eq!(of(&[0x28, 0x20]), Err(Sense::INVALID_FIELD_IN_CDB), "protection information");
        assert_eq!(of(&[0x12, 0, 0x80]), Err(Sense::INVALID_FIELD_IN_CDB), "a page without EVPD");
        assert_eq!(of(&[0x2f, 4]), Err(Sense::INVALID_FIELD_IN_CDB), "BYTCHK 2");
        assert_eq!(of(&[0x9e, 0x11]), Err(Sense::INVALID_FIELD_IN_CDB), "another service action");
    }

    /// What the layout of a request in flight depends on is said of the same commands there.
    #[test]
    fn agrees_with_the_layout_of_requests_in_flight() {
        for opcode in 0..=u8::MAX {
            let mut cdb = Cdb([1; 16]);
            (cdb.0[0], cdb.0[1]) = (opcode, 2);
            let Ok(command) = Command::of(cdb) else { continue };
            if let Some(transfer) = command.transfer() {
                assert_eq!(cdb.is_to_device(), matches!(transfer, Transfer::ToDevice(_)), "{opcode:#x}");
            }
            assert_eq!(cdb.is_emulated(), command.moved_blocks().is_none(), "{opcode:#x}");
        }
    }
}
