//! One change: what is changed, how, to what.

use std::fmt;
use std::str::FromStr;

use vmstate::stream::Configuration;

use super::features::Set;
use super::{device_of, mac, path};
use crate::state::State;

/// `TARGET=VALUE`, `TARGET+=VALUE` or `TARGET-=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `machine`, or a section and a field in it.
    target: String,
    operator: Operator,
    value: String,
}

/// How a value is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// It becomes what is given.
    Set,
    /// What is given is added: features only.
    Add,
    /// What is given is taken away: features only.
    Remove,
}

/// Why a change cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// Not a change at all.
    #[error("`{0}` is not a change: expected SECTION.FIELD=VALUE, or += and -= for features")]
    Form(String),
    /// No section that the target could be in.
    #[error("no section begins `{target}`; sections: {}", sections.join(", "))]
    NoSection {
        /// The target.
        target: String,
        /// The sections there are.
        sections: Vec<String>,
    },
    /// No such field.
    #[error("{section} has no field `{field}`; there: {}", known.join(", "))]
    NoField {
        /// The section.
        section: String,
        /// The field asked for.
        field: String,
        /// The fields where it was looked for.
        known: Vec<String>,
    },
    /// Not a value for that field.
    #[error("{target}: {message}")]
    Value {
        /// What was to be changed.
        target: String,
        /// What was expected, and what was found.
        message: String,
    },
}

impl FromStr for Change {
    type Err = ChangeError;

    fn from_str(text: &str) -> Result<Self, ChangeError> {
        let (target, value) = text.split_once('=').ok_or_else(|| ChangeError::Form(text.to_owned()))?;
        let (target, operator) = match (target.strip_suffix('+'), target.strip_suffix('-')) {
            (Some(target), _) => (target, Operator::Add),
            (_, Some(target)) => (target, Operator::Remove),
            _ => (target, Operator::Set),
        };
        if target.is_empty() {
            return Err(ChangeError::Form(text.to_owned()));
        }
        Ok(Self { target: target.to_owned(), operator, value: value.to_owned() })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = match self.operator {
            Operator::Set => "=",
            Operator::Add => "+=",
            Operator::Remove => "-=",
        };
        write!(f, "{}{operator}{}", self.target, self.value)
    }
}

impl Change {
    /// Whether it is of the machine type, which stands before all sections.
    #[must_use]
    pub fn is_of_machine(&self) -> bool {
        self.target == "machine"
    }

    /// Makes a change of the machine type.
    ///
    /// # Errors
    /// If it is none, or the name cannot be one.
    pub fn make_in(&self, configuration: &mut Configuration) -> Result<(), ChangeError> {
        let wrong = |message: String| ChangeError::Value { target: self.target.clone(), message };
        let mut json = serde_json::to_value(&*configuration).unwrap_or_default();
        match json.get_mut("machine") {
            Some(machine) if self.operator == Operator::Set => *machine = self.value.clone().into(),
            _ => return Err(wrong("expected =, and the name of a machine type".to_owned())),
        }
        *configuration = serde_json::from_value(json).map_err(|error| wrong(error.to_string()))?;
        Ok(())
    }

    /// Makes the change.
    pub(super) fn make(&self, state: &mut State) -> Result<(), ChangeError> {
        let wrong = |message: String| ChangeError::Value { target: self.target.clone(), message };
        if self.is_of_machine() {
            return match &mut state.configuration {
                Some(configuration) => self.make_in(configuration),
                None => Err(wrong("expected a stream with a configuration section".to_owned())),
            };
        }
        let (section, field) = self.split(state)?;
        let Some(section) = state.sections.iter_mut().find(|candidate| candidate.title() == section) else {
            return Err(ChangeError::Form(self.target.clone()));
        };
        if let Some(device) = device_of(&section.name)
            && path::is_features(&field)
        {
            let set = Set::parse(&self.value, device.device).map_err(wrong)?;
            return set.change(&mut section.state, self.operator).map_err(wrong);
        }
        if self.operator != Operator::Set {
            return Err(wrong("+= and -= are for core.guest_features".to_owned()));
        }
        let title = section.title();
        let before = mac::of(&section.state);
        path::set(&mut section.state, &field, &self.value).map_err(|error| match error {
            path::SetError::NoField(known) => ChangeError::NoField { section: title, field, known },
            path::SetError::Value(message) => wrong(message),
        })?;
        if let Some(before) = before {
            mac::follow(&mut section.state, before);
        }
        Ok(())
    }

    /// The section and the field of the target: section names have dots too, so the longest one that fits.
    fn split(&self, state: &State) -> Result<(String, String), ChangeError> {
        let titles: Vec<String> = state.sections.iter().map(crate::state::SectionState::title).collect();
        let fits = |title: &&String| {
            self.target.strip_prefix(title.as_str()).is_some_and(|rest| rest.starts_with('.'))
        };
        match titles.iter().filter(fits).max_by_key(|title| title.len()) {
            Some(title) => {
                let field = self.target.get(title.len() + 1..).unwrap_or_default();
                Ok((title.clone(), field.to_owned()))
            }
            None => Err(ChangeError::NoSection { target: self.target.clone(), sections: titles }),
        }
    }
}
