//! Why a stream does not load, or why that cannot be told.

use std::fmt;

use serde::{Serialize, Serializer};
use vmstate::Code;

use crate::defect::Defect;

/// How sure a reason is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// QEMU refuses the stream for it.
    Refused,
    /// QEMU may refuse the stream for it: something is not known.
    Open,
    /// QEMU loads the stream all the same.
    Warning,
}

/// A reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reason {
    /// Its stable code.
    #[serde(serialize_with = "as_text")]
    pub code: Code,
    /// How sure it is.
    pub certainty: Certainty,
    /// The section it is about: the device, or RAM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The field.
    pub field: String,
    /// What the destination has or expects.
    pub expected: String,
    /// What the stream has.
    pub found: String,
    /// Names of the feature bits it is about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// What QEMU says of it, without the program's name; `None` where it says nothing of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qemu_message: Option<String>,
    /// What to change.
    pub remedy: String,
    /// The defect of a QEMU release that is behind it, by its [name](Defect::name).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub defect: Option<&'static str>,
}

fn as_text<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(code)
}

/// As one line: where, and what the stream and the destination have.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(device) = &self.device {
            write!(f, "{device} › ")?;
        }
        f.write_str(&self.field)?;
        let sides = [("stream", &self.found), ("destination", &self.expected)];
        for (place, (side, text)) in sides.into_iter().filter(|(_, text)| !text.is_empty()).enumerate() {
            write!(f, "{} {side} {text}", if place == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

impl Reason {
    /// A reason for which QEMU refuses the stream.
    #[must_use]
    pub fn refused(code: Code, field: impl Into<String>) -> Self {
        Self {
            code,
            certainty: Certainty::Refused,
            device: None,
            field: field.into(),
            expected: String::new(),
            found: String::new(),
            features: Vec::new(),
            qemu_message: None,
            remedy: String::new(),
            defect: None,
        }
    }

    /// A reason for which it may.
    #[must_use]
    pub fn open(code: Code, field: impl Into<String>) -> Self {
        Self { certainty: Certainty::Open, ..Self::refused(code, field) }
    }

    /// Something worth knowing.
    #[must_use]
    pub fn warning(code: Code, field: impl Into<String>) -> Self {
        Self { certainty: Certainty::Warning, ..Self::refused(code, field) }
    }

    /// Names the section.
    #[must_use]
    pub fn at(mut self, device: impl Into<String>) -> Self {
        self.device = Some(device.into());
        self
    }

    /// Says what the stream has, and what the destination has or expects.
    #[must_use]
    pub fn found(mut self, found: impl ToString, expected: impl ToString) -> Self {
        (self.found, self.expected) = (found.to_string(), expected.to_string());
        self
    }

    /// Says what QEMU says.
    #[must_use]
    pub fn says(mut self, message: impl Into<String>) -> Self {
        self.qemu_message = Some(message.into());
        self
    }

    /// Names the defect that is behind it.
    #[must_use]
    pub fn because_of(mut self, defect: &Defect) -> Self {
        self.defect = Some(defect.name);
        self
    }

    /// Says what to change.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }
}
