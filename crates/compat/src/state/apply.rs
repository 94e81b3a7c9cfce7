//! Changed state, put back into the stream it was taken from.

use serde_json::Value;
use virtio::companion::Companion;
use virtio::loaded::VirtioState;
use virtio::section::{SectionName, save_section};
use vmstate::Writer;
use vmstate::stream::{Record, Section, Stream};
use vmstate::value::StructValue;

use super::{FORMAT, SectionState, State, VERSION, description};

/// Why state does not go into a stream.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The JSON is something else.
    #[error(
        "this is {format} version {version}, expected {FORMAT} version {VERSION}, as `vmig decode` writes it"
    )]
    Form {
        /// What the JSON says that it is.
        format: String,
        /// Of which version.
        version: u32,
    },
    /// A section that the stream does not have.
    #[error(
        "section {section} is not in the stream: state can be changed and left out, not put where no section is"
    )]
    NoSection {
        /// The section's name.
        section: String,
    },
    /// State that is not of its section's form.
    #[error("{section}: {message}")]
    State {
        /// The section's name.
        section: String,
        /// Field, what was expected, what was found.
        message: String,
    },
    /// A description that cannot be kept up.
    #[error("the stream's description cannot be kept up: {0}")]
    Description(#[from] vmstate::Error),
}

impl State {
    /// Puts the state into `original`, the stream it was taken from: the result is to be written with the
    /// source of that. Sections that the state does not have are left out; the description is kept up.
    ///
    /// # Errors
    /// If the state is not of the right form, or has a section that the stream does not have.
    pub fn apply(&self, original: &Stream) -> Result<Stream, ApplyError> {
        if self.format != FORMAT || self.version != VERSION {
            return Err(ApplyError::Form { format: self.format.clone(), version: self.version });
        }
        if let Some(stranger) = self.sections.iter().find(|state| find(original, state).is_none()) {
            return Err(ApplyError::NoSection { section: stranger.title() });
        }
        let mut stream = original.clone();
        stream.configuration = self.configuration.clone();
        let mut records = Vec::with_capacity(original.records.len());
        for record in &original.records {
            let mut record = record.clone();
            if let Record::Section(section) = &mut record
                && section.body().is_some()
            {
                let Some(state) = self.section(&section.name, section.instance) else { continue };
                section.version = state.version;
                section.replace_body(body(state, section, original)?);
            }
            records.push(record);
        }
        stream.records = records;
        description::keep_up(&mut stream, original)?;
        Ok(stream)
    }
}

fn find<'a>(stream: &'a Stream, state: &SectionState) -> Option<&'a Section> {
    stream.sections().find(|section| {
        section.name == state.name && section.instance == state.instance && section.body().is_some()
    })
}

/// The bytes of a section's state.
fn body(state: &SectionState, section: &Section, stream: &Stream) -> Result<Vec<u8>, ApplyError> {
    let failed = |message: String| ApplyError::State { section: state.title(), message };
    if let Value::String(raw) = &state.state {
        return hex::decode(raw).map_err(|error| failed(format!("raw bytes in hexadecimal: {error}")));
    }
    let mut out = Writer::new();
    let description = stream.description.as_ref();
    if let Some(name) = SectionName::parse(&section.name) {
        let device = VirtioState::from_json(name.device, &state.state).map_err(|e| failed(e.to_string()))?;
        save_section(&device, &mut out);
    } else if let Some(kind) = Companion::of_section(&section.name) {
        Companion::from_json(kind, &state.state).map_err(|e| failed(e.to_string()))?.save(&mut out);
    } else if let Some(device) = description.and_then(|d| d.desc.device(&section.name, section.instance)) {
        let value = StructValue::from_json(&device.body, &state.state);
        value.map_err(|e| failed(format!("{}: {}", e.path(), e.kind())))?.encode(&mut out);
    } else {
        return Err(failed("nothing describes this section, so its state must be raw bytes".to_owned()));
    }
    Ok(out.into_bytes())
}
