//! What the loading side knows of a device before it reads the first byte.
//!
//! A virtio section is not self-describing: several of QEMU's device properties change its layout and
//! leave no mark in it. A destination knows its own properties. A reader without a destination takes
//! them from the stream, where they can be told apart by the one that reads the section to its end
//! ([`Switches::candidates`]).

use vmstate::Result;

use crate::core::{Endianness, Features};
use crate::device::DeviceType;
use crate::transport::TransportKind;

/// A device as the loading side has it.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// The type of the device.
    pub device: &'static DeviceType,
    /// The transport it sits on.
    pub transport: TransportKind,
    /// The target's byte order: that of a legacy device whose subsections do not say otherwise.
    pub default_endianness: Endianness,
    /// Features the device offers; `None`: not known, and nothing is refused for them.
    pub host_features: Option<Features>,
    /// Properties that change the layout.
    pub switches: Switches,
}

/// A property that changes a section's layout and leaves no mark in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Switch {
    /// net: more than one queue pair at most, so that their numbers are written.
    Multiqueue = 1,
    /// The device offers `RING_PACKED`, so that elements in flight carry their number of descriptors.
    Packed = 2,
    /// The source ran on a big-endian host, whose memory images elements in flight are.
    BigEndianHost = 4,
    /// gpu: `x-scanout-vmstate-version` is 1 (machines up to 8.2).
    ScanoutV1 = 8,
    /// mem: `x-early-migration` is off (machines up to 7.2).
    LateMigration = 16,
    /// scsi-disk: emulated requests are carried without their data
    /// (`migrate-emulated-scsi-request` is off: machines up to 9.0).
    BareEmulatedRequests = 32,
}

/// A set of [`Switch`]es that are on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Switches(u8);

impl Switches {
    /// Whether a switch is on.
    #[must_use]
    pub fn has(self, switch: Switch) -> bool {
        self.0 & switch as u8 != 0
    }

    /// The set with a switch turned on.
    #[must_use]
    pub fn with(self, switch: Switch) -> Self {
        Self(self.0 | switch as u8)
    }

    /// All ways to set the switches a layout depends on, fewest on first: the usual device first.
    pub fn candidates(depends_on: &[Switch]) -> impl Iterator<Item = Self> {
        let mut all: Vec<Self> = vec![Self::default()];
        for &switch in depends_on {
            let with: Vec<_> = all.iter().map(|set| set.with(switch)).collect();
            all.extend(with);
        }
        all.sort_by_key(|set| set.0.count_ones());
        all.into_iter()
    }
}

/// Reads a section without knowing the switches that its layout depends on: the first way to set them with
/// which `load` reads it to its end is taken.
///
/// # Errors
/// That of the way that came furthest, if there is none.
pub(crate) fn first_that_reads<T>(
    depends_on: &[Switch],
    mut load: impl FnMut(Switches) -> Result<T>,
) -> Result<(Switches, T)> {
    let mut candidates = Switches::candidates(depends_on);
    // There is always one: all switches off.
    let usual = candidates.next().unwrap_or_default();
    let mut furthest = match load(usual) {
        Ok(loaded) => return Ok((usual, loaded)),
        Err(error) => error,
    };
    for switches in candidates {
        match load(switches) {
            Ok(loaded) => return Ok((switches, loaded)),
            Err(error) if error.offset() > furthest.offset() => furthest = error,
            Err(_) => {}
        }
    }
    Err(furthest)
}

impl Shape {
    /// A device of which nothing is known beyond its type, its transport and its target.
    #[must_use]
    pub fn unknown(
        device: &'static DeviceType,
        transport: TransportKind,
        default_endianness: Endianness,
    ) -> Self {
        Self { device, transport, default_endianness, host_features: None, switches: Switches::default() }
    }
}
