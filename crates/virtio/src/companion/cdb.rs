//! SCSI command descriptor blocks, as far as the layout of a request in flight depends on them.

use serde::{Deserialize, Serialize};
use vmstate::{Field, Reader, Result, Type, Typed, Writer};

/// A SCSI command descriptor block, padded to 16 bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cdb(#[serde(with = "hex::serde")] pub [u8; 16]);

#[expect(missing_docs, reason = "names of the SCSI standards (SBC-4, SPC-5)")]
impl Cdb {
    pub const TEST_UNIT_READY: u8 = 0x00;
    pub const REQUEST_SENSE: u8 = 0x03;
    pub const FORMAT_UNIT: u8 = 0x04;
    pub const READ_6: u8 = 0x08;
    pub const WRITE_6: u8 = 0x0a;
    pub const INQUIRY: u8 = 0x12;
    pub const MODE_SELECT_6: u8 = 0x15;
    pub const MODE_SENSE_6: u8 = 0x1a;
    pub const START_STOP_UNIT: u8 = 0x1b;
    pub const READ_CAPACITY_10: u8 = 0x25;
    pub const READ_10: u8 = 0x28;
    pub const WRITE_10: u8 = 0x2a;
    pub const WRITE_AND_VERIFY_10: u8 = 0x2e;
    pub const VERIFY_10: u8 = 0x2f;
    pub const SYNCHRONIZE_CACHE_10: u8 = 0x35;
    pub const WRITE_SAME_10: u8 = 0x41;
    pub const UNMAP: u8 = 0x42;
    pub const MODE_SELECT_10: u8 = 0x55;
    pub const MODE_SENSE_10: u8 = 0x5a;
    pub const READ_16: u8 = 0x88;
    pub const WRITE_16: u8 = 0x8a;
    pub const WRITE_AND_VERIFY_16: u8 = 0x8e;
    pub const VERIFY_16: u8 = 0x8f;
    pub const SYNCHRONIZE_CACHE_16: u8 = 0x91;
    pub const WRITE_SAME_16: u8 = 0x93;
    pub const SERVICE_ACTION_IN_16: u8 = 0x9e;
    pub const REPORT_LUNS: u8 = 0xa0;
    pub const READ_12: u8 = 0xa8;
    pub const WRITE_12: u8 = 0xaa;
    pub const WRITE_AND_VERIFY_12: u8 = 0xae;
    pub const VERIFY_12: u8 = 0xaf;
    /// READ CAPACITY(16), which is a service action.
    pub const READ_CAPACITY_16_ACTION: u8 = 0x10;
}

impl Cdb {
    /// The operation code.
    #[must_use]
    pub fn opcode(&self) -> u8 {
        let [opcode, ..] = self.0;
        opcode
    }

    /// Whether a disk answers the command itself (QEMU: emulated) instead of moving blocks.
    #[must_use]
    pub fn is_emulated(&self) -> bool {
        !self.moves_blocks_in() && !self.moves_blocks_out()
    }

    /// Whether the command's data goes to the disk.
    ///
    /// Known of those commands that a disk can have in flight.
    #[must_use]
    pub fn is_to_device(&self) -> bool {
        self.moves_blocks_out()
            || matches!(
                self.opcode(),
                Self::FORMAT_UNIT
                    | Self::MODE_SELECT_6
                    | Self::MODE_SELECT_10
                    | Self::UNMAP
                    | Self::WRITE_SAME_10
                    | Self::WRITE_SAME_16
            )
    }

    /// Bytes of the parameters of an emulated command that go to the disk.
    #[must_use]
    pub fn parameter_length(&self) -> u64 {
        /// Bytes of a block, which the command does not say.
        const BLOCK: u64 = 512;
        /// WRITE SAME(16): no data; zeros are written.
        const NDOB: u8 = 1;
        let Self([_, flags, _, byte_3, byte_4, _, _, byte_7, byte_8, ..]) = *self;
        match self.opcode() {
            Self::MODE_SELECT_6 => byte_4.into(),
            Self::MODE_SELECT_10 | Self::UNMAP => u16::from_be_bytes([byte_7, byte_8]).into(),
            Self::FORMAT_UNIT => u16::from_be_bytes([byte_3, byte_4]).into(),
            Self::WRITE_SAME_10 | Self::WRITE_SAME_16 if flags & NDOB == 0 => BLOCK,
            _ => 0,
        }
    }

    fn moves_blocks_in(&self) -> bool {
        matches!(self.opcode(), Self::READ_6 | Self::READ_10 | Self::READ_12 | Self::READ_16)
    }

    fn moves_blocks_out(&self) -> bool {
        matches!(
            self.opcode(),
            Self::WRITE_6
                | Self::WRITE_10
                | Self::WRITE_12
                | Self::WRITE_16
                | Self::WRITE_AND_VERIFY_10
                | Self::WRITE_AND_VERIFY_12
                | Self::WRITE_AND_VERIFY_16
                | Self::VERIFY_10
                | Self::VERIFY_12
                | Self::VERIFY_16
        )
    }
}

impl Typed for Cdb {
    const TYPE: Type = Type::Buffer { size: 16 };
}

impl<Cx: ?Sized> Field<Cx> for Cdb {
    fn load(input: &mut Reader<'_>, _: &Cx) -> Result<Self> {
        input.array().map(Self)
    }
    fn save(&self, out: &mut Writer) {
        out.bytes(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cdb(bytes: &[u8]) -> Cdb {
        let mut cdb = Cdb::default();
        cdb.0[..bytes.len()].copy_from_slice(bytes);
        cdb
    }

    #[test]
    fn tells_where_data_goes() {
        for (opcode, is_emulated, is_to_device) in [
            (Cdb::READ_16, false, false),
            (Cdb::WRITE_10, false, true),
            (Cdb::VERIFY_12, false, true),
            (Cdb::SYNCHRONIZE_CACHE_10, true, false),
            (Cdb::UNMAP, true, true),
        ] {
            let cdb = cdb(&[opcode]);
            assert_eq!((cdb.is_emulated(), cdb.is_to_device()), (is_emulated, is_to_device), "{opcode:#x}");
        }
    }

    #[test]
    fn tells_how_long_parameters_are() {
        for (bytes, length) in [
            (&[Cdb::UNMAP, 0, 0, 0, 0, 0, 0, 1, 2][..], 0x102),
            (&[Cdb::MODE_SELECT_6, 0, 0, 0, 12], 12),
            (&[Cdb::FORMAT_UNIT, 0, 0, 1, 0], 256),
            (&[Cdb::WRITE_SAME_16, 8], 512),
            (&[Cdb::WRITE_SAME_16, 9], 0),
            (&[Cdb::WRITE_10, 0, 0, 0, 0, 0, 0, 0, 8], 0),
        ] {
            assert_eq!(cdb(bytes).parameter_length(), length, "{bytes:?}");
        }
    }
}
