//! Sense data: why a command was not done (SPC-4 §4.5).

/// Sense key, additional sense code and qualifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sense {
    pub(super) key: u8,
    pub(super) asc: u8,
    pub(super) ascq: u8,
}

/// Bytes of sense data in fixed format, and of what follows the byte that says how much does.
const FIXED: usize = 18;
const ADDITIONAL: u8 = 10;

impl Sense {
    pub(super) const NONE: Self = Self::new(0, 0, 0);
    pub(super) const WRITE_ERROR: Self = Self::new(3, 0x0c, 0);
    pub(super) const READ_ERROR: Self = Self::new(3, 0x11, 0);
    pub(super) const PARAMETER_LIST_LENGTH: Self = Self::new(5, 0x1a, 0);
    pub(super) const INVALID_OPCODE: Self = Self::new(5, 0x20, 0);
    pub(super) const LBA_OUT_OF_RANGE: Self = Self::new(5, 0x21, 0);
    pub(super) const INVALID_FIELD_IN_CDB: Self = Self::new(5, 0x24, 0);
    pub(super) const LUN_NOT_SUPPORTED: Self = Self::new(5, 0x25, 0);
    pub(super) const INVALID_FIELD_IN_PARAMETERS: Self = Self::new(5, 0x26, 0);
    pub(super) const SAVING_NOT_SUPPORTED: Self = Self::new(5, 0x39, 0);
    pub(super) const POWER_ON: Self = Self::new(6, 0x29, 0);
    pub(super) const UNIT_RESET: Self = Self::new(6, 0x29, 3);
    pub(super) const NEXUS_LOSS: Self = Self::new(6, 0x29, 7);
    pub(super) const CAPACITY_CHANGED: Self = Self::new(6, 0x2a, 9);
    pub(super) const LUNS_CHANGED: Self = Self::new(6, 0x3f, 0x0e);
    pub(super) const WRITE_PROTECTED: Self = Self::new(7, 0x27, 0);
    pub(super) const SPACE_ALLOCATION_FAILED: Self = Self::new(7, 0x27, 7);
    pub(super) const MISCOMPARE: Self = Self::new(0x0e, 0x1d, 0);

    pub(super) const fn new(key: u8, asc: u8, ascq: u8) -> Self {
        Self { key, asc, ascq }
    }

    /// Current sense data in fixed format (SPC-4 §4.5.3).
    pub(super) const fn fixed(self) -> [u8; FIXED] {
        let Self { key, asc, ascq } = self;
        [0x70, 0, key, 0, 0, 0, 0, ADDITIONAL, 0, 0, 0, 0, asc, ascq, 0, 0, 0, 0]
    }

    /// Current sense data in descriptor format, without descriptors (SPC-4 §4.5.2).
    pub(super) const fn descriptor(self) -> [u8; 8] {
        let Self { key, asc, ascq } = self;
        [0x72, key, asc, ascq, 0, 0, 0, 0]
    }
}
