//! Changes to a guest's state: `SECTION.FIELD=VALUE`, `+=` and `-=` for features.
//!
//! A change is made to the [`State`], checked by loading what comes of it, and refused if it would not load.

mod change;
mod features;
mod mac;
mod path;

use serde_json::Value;
use virtio::finding::{Finding, Severity};
use virtio::guest::{Content, Guest};
use virtio::section::SectionName;
use vmstate::source::Source;
use vmstate::stream::{Section, Stream};

pub use change::{Change, ChangeError, Operator};

use crate::state::{ApplyError, State, content_json};

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
        let title = section.name.clone();
        let refused = |reason: String| EditError::WouldNotLoad { section: title.clone(), reason };
        let was = original.section(&section.name, section.instance).and_then(|section| read(before, section));
        let content = match (read(&after, section), &was) {
            (Some(Ok(content)), _) => content,
            (Some(Err(error)), Some(Ok(_))) => return Err(refused(error.to_string())),
            (Some(Err(_)) | None, _) => continue,
        };
        let wanted = state.section(&section.name, section.instance).map(|section| &section.state);
        if let (Some(wanted), Some(is)) = (wanted, content_json(content))
            && let Some(field) = first_difference(wanted, &is)
        {
            return Err(EditError::NoField { section: title, field });
        }
        let known: Vec<_> = was.and_then(Result::ok).into_iter().flat_map(findings).collect();
        let is_new = |finding: &&Finding| finding.severity() != Severity::Warning && !known.contains(finding);
        if let Some(finding) = findings(content).find(is_new) {
            return Err(refused(format!("{}: {finding}", finding.code())));
        }
    }
    Ok(())
}

/// What was read of a section, or why it could not be.
fn read<'a>(guest: &'a Guest, section: &Section) -> Option<Result<&'a Content, &'a vmstate::Error>> {
    let content = guest.content(section)?.as_ref();
    Some(content.and_then(|content| match content {
        Content::Device(device) => device.loaded.as_ref().map(|_| content),
        _ => Ok(content),
    }))
}

/// What is wrong with a section's state.
fn findings(content: &Content) -> impl Iterator<Item = &Finding> {
    let findings = match content {
        Content::Device(device) => device.loaded.as_ref().ok().map(|loaded| &loaded.findings),
        Content::Companion(companion) => Some(&companion.findings),
        Content::Described(_) | Content::Raw => None,
    };
    findings.into_iter().flatten()
}

/// The path of the first value that is in `wanted` and not, or not so, in `is`.
fn first_difference(wanted: &Value, is: &Value) -> Option<String> {
    crate::diff::values(wanted, is).into_iter().next().map(|difference| difference.path)
}

/// The device type of a section, if it is a virtio device's.
fn device_of(section: &str) -> Option<SectionName<'_>> {
    SectionName::parse(section)
}
