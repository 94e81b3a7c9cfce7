//! Changes to a guest's state: `SECTION.FIELD=VALUE`, `+=` and `-=` for features, and known repairs.
//!
//! A change is made to the [`State`], checked by loading what comes of it, and refused if it would not load.

mod change;
mod features;
mod path;
mod repair;

use serde_json::Value;
use virtio::finding::{Finding, Severity};
use virtio::guest::{Content, Guest};
use virtio::section::SectionName;
use vmstate::source::Source;
use vmstate::stream::{Section, Stream};

pub use change::{Change, ChangeError, Operator};
pub use repair::{Repair, repair};

use crate::state::{ApplyError, State};

/// Why an edit is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The change cannot be made.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The state that comes of it does not go into the stream.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// A field that was set is not part of the state.
    #[error("{section} has no field {field}, or it cannot hold that value")]
    NoField {
        /// The section.
        section: String,
        /// The field.
        field: String,
    },
    /// The result would not load.
    #[error("{section} would not load: {reason}")]
    WouldNotLoad {
        /// The section.
        section: String,
        /// Why.
        reason: String,
    },
}

/// Makes changes to a state, in order.
///
/// # Errors
/// If one cannot be made. The state may be half changed then.
pub fn change(state: &mut State, changes: &[Change]) -> Result<(), EditError> {
    changes.iter().try_for_each(|change| change.make(state).map_err(EditError::from))
}

/// Checks that each section of `changed` reads as the state says, and loads as well as it did before:
/// `before` is the guest that was decoded from the original.
///
/// # Errors
/// For the first section that does not.
pub fn check(
    state: &State,
    changed: &Stream,
    original: &Stream,
    before: &Guest,
    source: &dyn Source,
) -> Result<(), EditError> {
    let after = Guest::decode(changed, source);
    for section in changed.sections() {
        let Some(Ok(Content::Device(device))) = after.content(section) else { continue };
        let title = section.name.clone();
        let refused = |reason: String| EditError::WouldNotLoad { section: title.clone(), reason };
        let loaded = device.loaded.as_ref().map_err(|error| refused(error.to_string()))?;
        let wanted = state.section(&section.name, section.instance).map(|section| &section.state);
        let is = serde_json::to_value(&loaded.state).unwrap_or_default();
        if let Some(field) = wanted.and_then(|wanted| first_difference(wanted, &is)) {
            return Err(EditError::NoField { section: title, field });
        }
        let known =
            original.section(&section.name, section.instance).map(|section| findings(before, section));
        let is_known = |finding: &Finding| known.as_ref().is_some_and(|known| known.contains(&finding));
        let new = loaded.findings.iter().find(|f| f.severity() != Severity::Warning && !is_known(f));
        if let Some(finding) = new {
            return Err(refused(format!("{}: {finding}", finding.code())));
        }
    }
    Ok(())
}

/// The findings of a device.
fn findings<'a>(guest: &'a Guest, section: &Section) -> Vec<&'a Finding> {
    match guest.content(section) {
        Some(Ok(Content::Device(device))) => {
            device.loaded.iter().flat_map(|loaded| &loaded.findings).collect()
        }
        _ => Vec::new(),
    }
}

/// The path of the first value that is in `wanted` and not, or not so, in `is`.
fn first_difference(wanted: &Value, is: &Value) -> Option<String> {
    crate::diff::values(wanted, is).into_iter().next().map(|difference| difference.path)
}

/// The device type of a section, if it is a virtio device's.
fn device_of(section: &str) -> Option<SectionName<'_>> {
    SectionName::parse(section)
}
