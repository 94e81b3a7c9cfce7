//! What loading finds to be wrong with a device that could be read, and what QEMU does about it.
//!
//! A [`Finding`] is not a failure to read: the state is there to be shown. Whether a device may run is
//! decided at one door, [`crate::Loaded::accept`], by the worst of its findings.

use serde::Serialize;
use vmstate::Code;

use crate::core::Features;
use crate::memory::MemoryError;

/// What QEMU does about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The load succeeds and the device runs; something about it is worth knowing.
    Warning,
    /// The load succeeds; the device is marked broken, and only a reset helps it.
    BreaksDevice,
    /// The load fails, and with it the migration.
    FailsLoad,
}

impl Severity {
    /// What becomes of a stream with such a finding, in words.
    #[must_use]
    pub fn effect(self) -> &'static str {
        match self {
            Self::Warning => "loads",
            Self::BreaksDevice => "loads with a broken device",
            Self::FailsLoad => "does not load",
        }
    }
}

/// Something wrong with a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the message of each says what its values are")]
pub enum Finding {
    #[error("queue_sel is {found}, expected less than {limit}: the device has no such queue")]
    QueueSelect { found: u16, limit: usize },
    #[error(
        "queue {queue} is not set up (its descriptors are at 0), but last_avail_idx is {last_avail_idx}, expected 0"
    )]
    IndexWithoutRing { queue: usize, last_avail_idx: u16 },
    #[error(
        "queue {queue} (size {size}): the guest has offered up to index {avail_idx}, the device has taken up to {last_avail_idx}: \
         {} ahead, at most {size}",
        avail_idx.wrapping_sub(*last_avail_idx)
    )]
    AvailIndex { queue: usize, size: u32, avail_idx: u16, last_avail_idx: u16 },
    #[error(
        "queue {queue} (size {size}): the device has taken up to index {last_avail_idx} and returned up to {used_idx}: \
         {} in flight, at most {size}",
        last_avail_idx.wrapping_sub(*used_idx)
    )]
    UsedIndex { queue: usize, size: u32, last_avail_idx: u16, used_idx: u16 },
    #[error("queue {queue}: its ring memory cannot be reached: {error}")]
    RingMemory { queue: usize, error: MemoryError },
    #[error("queue {queue} has {size} entries, expected 1 to {limit}")]
    QueueSize { queue: usize, size: u32, limit: usize },
    #[error("queue {queue} has {size} entries, expected a power of 2 for a split ring")]
    QueueSizeNotPowerOfTwo { queue: usize, size: u32 },
    #[error("features {guest} were negotiated, of which the device does not offer {} ({})", unsupported, names.join(", "))]
    Features { guest: Features, unsupported: Features, names: Vec<String> },
    #[error(
        "the low features are {low:#010x} in the common fields and {in_subsection:#010x} in virtio/64bit_features"
    )]
    FeaturesDisagree { low: u32, in_subsection: u32 },
    #[error("device_endian is {found}, expected 1 (little) or 2 (big)")]
    DeviceEndian { found: u8 },
    #[error("the level of interrupt pin {pin} is {level}, expected 0 or 1")]
    InterruptLevel { pin: usize, level: u32 },
    #[error(
        "the vector for configuration changes is {vector}, expected less than {vectors} or 0xffff for none"
    )]
    ConfigVector { vector: u16, vectors: usize },
    #[error("queue {queue} uses vector {vector}, expected less than {vectors} or 0xffff for none")]
    QueueVector { queue: usize, vector: u16, vectors: usize },
    #[error(
        "the device is marked broken (virtio/broken): it met an error, and only a reset by the driver helps"
    )]
    MarkedBroken,
    #[error("the device asks its driver for a reset (status DEVICE_NEEDS_RESET)")]
    NeedsReset,
    #[error("the driver has given up on the device (status FAILED)")]
    DriverFailed,
    #[error("{0}")]
    Device(DeviceFinding),
}

/// A finding of a device type's own check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceFinding {
    /// Its stable code.
    pub code: Code,
    /// What QEMU does about it.
    pub severity: Severity,
    /// What was expected, and what was found.
    pub message: String,
}

impl std::fmt::Display for DeviceFinding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl Finding {
    /// Its stable code, and what QEMU does about it.
    #[must_use]
    pub fn classify(&self) -> (Code, Severity) {
        use Severity::{BreaksDevice, FailsLoad, Warning};
        let (code, severity) = match self {
            Self::QueueSelect { .. } => (301, FailsLoad),
            Self::IndexWithoutRing { .. } => (302, FailsLoad),
            Self::AvailIndex { .. } => (303, BreaksDevice),
            Self::UsedIndex { .. } => (304, FailsLoad),
            Self::RingMemory { .. } => (305, BreaksDevice),
            Self::QueueSize { .. } => (306, Warning),
            Self::QueueSizeNotPowerOfTwo { .. } => (307, Warning),
            Self::Features { .. } => (308, FailsLoad),
            Self::FeaturesDisagree { .. } => (309, Warning),
            Self::DeviceEndian { .. } => (310, Warning),
            Self::InterruptLevel { .. } => (311, FailsLoad),
            Self::ConfigVector { .. } => (312, FailsLoad),
            Self::QueueVector { .. } => (313, FailsLoad),
            Self::MarkedBroken => (314, Warning),
            Self::NeedsReset => (315, Warning),
            Self::DriverFailed => (316, Warning),
            Self::Device(finding) => return (finding.code, finding.severity),
        };
        (Code(code), severity)
    }

    /// What QEMU does about it.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.classify().1
    }

    /// Its stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.classify().0
    }
}

/// The findings of a load, in the order they were made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Adds a finding.
    pub fn add(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    /// Adds a finding of a device type's own check. Their codes begin at `VM0400`.
    pub fn add_device(&mut self, code: u16, severity: Severity, message: impl Into<String>) {
        self.add(Finding::Device(DeviceFinding { code: Code(code), severity, message: message.into() }));
    }

    /// The findings, in the order they were made.
    pub fn iter(&self) -> std::slice::Iter<'_, Finding> {
        self.0.iter()
    }

    /// The worst that QEMU does about any of them.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.iter().map(Finding::severity).max()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a Findings {
    type Item = &'a Finding;
    type IntoIter = std::slice::Iter<'a, Finding>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
