//! State out of its JSON form, with the place of what is wrong.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Why JSON is not the state of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    /// The field, as `core.queues[0].num`; empty for the whole.
    pub path: String,
    /// What was expected, and what was found.
    pub message: String,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for JsonError {}

impl JsonError {
    /// Something wrong with the whole.
    pub(crate) fn new(message: String) -> Self {
        Self { path: String::new(), message }
    }

    /// A field that must be there is not.
    pub(crate) fn missing(field: &str) -> Self {
        Self { path: field.to_owned(), message: "is missing".to_owned() }
    }

    /// The same, seen from outside a field.
    #[must_use]
    pub(crate) fn within(self, field: &str) -> Self {
        let path = if self.path.is_empty() { field.to_owned() } else { format!("{field}.{}", self.path) };
        Self { path, ..self }
    }

    /// Reads state, and notes the place of what is wrong.
    pub(crate) fn located<T: DeserializeOwned>(json: &Value) -> Result<T, Self> {
        serde_path_to_error::deserialize(json).map_err(|error| {
            let path = error.path().to_string();
            let path = if path == "." { String::new() } else { path };
            Self { path, message: error.into_inner().to_string() }
        })
    }

    /// Reads the state in a field.
    pub(crate) fn field<T: DeserializeOwned>(json: &Value, field: &str) -> Result<T, Self> {
        let value = json.get(field).ok_or_else(|| Self::missing(field))?;
        Self::located(value).map_err(|error| error.within(field))
    }
}
