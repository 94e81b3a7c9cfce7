//! Sections that belong to a virtio device and are not its own: disks of a SCSI host, and what of a
//! memory device must be known before RAM is received.
//!
//! They are read and written as those of [`crate::section`] are, without core and transport.
//!
//! # To add one
//! 1. Write `companion/<name>.rs`: a state struct, and [`CompanionState`] for it.
//! 2. Add one line to the list below.

mod cdb;
mod kind;
mod mem_early;
mod scsi_disk;
mod scsi_request;

use serde::Serialize;
use vmstate::{ErrorKind, Reader, Result, Writer};

pub use cdb::Cdb;
pub use kind::{CompanionName, CompanionState, CompanionType};
pub use mem_early::MemEarly;
pub use scsi_disk::{MoreSense, ScsiDevice, ScsiDisk};
pub use scsi_request::{DiskLayout, DiskRequest, Request, WriteLength};

use crate::finding::Findings;
use crate::json::JsonError;
use crate::shape::{Switches, first_that_reads};

/// The list of companions; all that has a case for each is made from it.
macro_rules! companions {
    ($($(#[$doc:meta])* $variant:ident($state:ty),)*) => {
        /// The state in a companion's section.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum Companion {
            $($(#[$doc])* $variant($state),)*
        }

        /// All kinds of companions.
        pub static COMPANIONS: &[CompanionType] = &[$(<$state as CompanionState>::TYPE,)*];

        impl Companion {
            /// The state of a companion of this kind out of its JSON form.
            ///
            /// # Errors
            /// If it is not of that form.
            pub fn from_json(kind: &CompanionType, json: &serde_json::Value) -> Result<Self, JsonError> {
                $(if kind.section == <$state as CompanionState>::TYPE.section {
                    return JsonError::located(json).map(Self::$variant);
                })*
                Err(JsonError::new(format!("a section of type {} has no state", kind.section)))
            }

            fn load_state(kind: &CompanionType, switches: Switches, input: &mut Reader<'_>) -> Result<Self> {
                $(if kind.section == <$state as CompanionState>::TYPE.section {
                    return <$state as CompanionState>::load(switches, input).map(Self::$variant);
                })*
                Err(input.fail(ErrorKind::Unsupported(format!("a section of type {}", kind.section).into())))
            }

            fn check(&self, findings: &mut Findings) {
                match self {
                    $(Self::$variant(state) => state.check(findings),)*
                }
            }

            /// Saves the body of the section.
            pub fn save(&self, out: &mut Writer) {
                match self {
                    $(Self::$variant(state) => state.save(out),)*
                }
            }

            /// What kind of section it is.
            #[must_use]
            pub fn companion_type(&self) -> &'static CompanionType {
                match self {
                    $(Self::$variant(_) => const { &<$state as CompanionState>::TYPE },)*
                }
            }
        }
    };
}

companions! {
    /// A disk of a SCSI host.
    ScsiDisk(ScsiDisk),
    /// What of a memory device comes before RAM.
    MemEarly(MemEarly),
}

/// What loading made of a companion's section.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedCompanion {
    /// The state: plain, and not trusted.
    pub state: Companion,
    /// What is wrong with it.
    pub findings: Findings,
}

impl Companion {
    /// The kind of companion that a section is, by its name in the stream.
    #[must_use]
    pub fn of_section(name: &str) -> Option<&'static CompanionType> {
        CompanionName::parse(name).map(|name| name.kind)
    }

    /// Loads the body of a companion's section.
    ///
    /// # Errors
    /// If it cannot be read as such a section, to its last byte.
    pub fn load(
        kind: &CompanionType,
        switches: Switches,
        version: u32,
        body: &Reader<'_>,
    ) -> Result<LoadedCompanion> {
        let (minimum, newest) = (kind.minimum_version, kind.version);
        if !(minimum..=newest).contains(&version) {
            return Err(body.fail(ErrorKind::Version { found: version, minimum, version: newest }));
        }
        let mut input = body.clone();
        let state = Self::load_state(kind, switches, &mut input)?;
        input.finish()?;
        let mut findings = Findings::default();
        state.check(&mut findings);
        Ok(LoadedCompanion { state, findings })
    }

    /// Loads the body of a companion's section without knowing the properties that change its layout:
    /// the first way to read it to its end is taken.
    ///
    /// # Errors
    /// That of the way that came furthest, if there is none.
    pub fn load_unknown(
        kind: &CompanionType,
        version: u32,
        body: &Reader<'_>,
    ) -> Result<(Switches, LoadedCompanion)> {
        first_that_reads(kind.switches, |switches| Self::load(kind, switches, version, body))
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Loads a companion's section, and checks that it is saved as the same bytes.
    pub(crate) fn round_trip(kind: &CompanionType, body: &[u8]) -> (Switches, LoadedCompanion) {
        let (switches, loaded) = Companion::load_unknown(kind, kind.version, &Reader::new(body, 0)).unwrap();
        let mut out = Writer::new();
        loaded.state.save(&mut out);
        assert_eq!(out.as_bytes(), body);
        (switches, loaded)
    }

    /// The body of a companion's section.
    pub(crate) fn saved(state: &impl CompanionState) -> Vec<u8> {
        let mut out = Writer::new();
        state.save(&mut out);
        out.into_bytes()
    }
}
