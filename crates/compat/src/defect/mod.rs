//! Known defects of QEMU releases: one list, with where each is known from.
//!
//! `check` cites what decides about a load, `explain` derives its text from here, and `edit --repair`
//! makes the [repairs](repair()) that the list has.
//!
//! To add one, add a constant to the list, and its name to [`ALL`]. Nothing goes in without a source: a
//! stream or a load that was recorded, or a rule of a release that was read.

mod list;
mod repair;

use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};
use vmstate::Code;

pub use list::{
    ALL, FORCED_QUEUE_SIZE, MASKED_FEATURES, MISPLACED_NDESCS, MISREAD_SCSI_PARAMETERS, MISSPELT_PAGE_POISON,
    PMEM_WITHOUT_SECTION, STATUS_QUERY_ABORTS, TRUSTED_SCSI_COUNTS,
};
pub use repair::{Repair, Repaired, repair};

/// A defect of releases of QEMU.
#[derive(Debug, Clone, Copy, Serialize)]
#[non_exhaustive]
pub struct Defect {
    /// A short name, which does not change.
    pub name: &'static str,
    /// Which releases are known to have it.
    pub releases: &'static str,
    /// What goes wrong.
    pub what: &'static str,
    /// What helps.
    pub remedy: &'static str,
    /// Where it is known from.
    pub source: &'static str,
    /// The codes of the findings and reasons that it is behind.
    #[serde(serialize_with = "as_texts")]
    pub codes: &'static [Code],
    /// How a stream is mended, if it can be.
    #[serde(rename = "repaired", serialize_with = "is_there")]
    pub repair: Option<Repair>,
}

fn as_texts<S: Serializer>(codes: &[Code], serializer: S) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(codes.len()))?;
    for code in codes {
        list.serialize_element(&code.to_string())?;
    }
    list.end()
}

#[expect(clippy::ref_option, reason = "serde wants it so")]
fn is_there<S: Serializer>(repair: &Option<Repair>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(repair.is_some())
}

/// The defect of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Defect> {
    ALL.iter().find(|defect| defect.name == name)
}

/// The defects that a code may come from.
pub fn behind(code: Code) -> impl Iterator<Item = &'static Defect> {
    ALL.iter().filter(move |defect| defect.codes.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::page;

    #[test]
    fn each_is_complete_and_has_its_own_name() {
        for defect in ALL {
            let Defect { name, releases, what, remedy, source, codes, .. } = *defect;
            assert_eq!(ALL.iter().filter(|other| other.name == name).count(), 1, "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{name}");
            assert!([releases, what, remedy, source].iter().all(|text| !text.is_empty()), "{name}");
            assert!(!codes.is_empty() && codes.iter().all(|&code| page(code).is_some()), "{name}");
        }
    }

    #[test]
    fn a_code_leads_to_its_defects() {
        let names: Vec<_> = behind(Code(440)).map(|defect| defect.name).collect();
        assert_eq!(names, ["misspelt-page-poison"]);
        assert_eq!(behind(Code(1)).count(), 0);
        assert!(named("misspelt-page-poison").is_some() && named("nothing").is_none());
    }
}
