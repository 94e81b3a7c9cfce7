//! Fields by their paths.
//!
//! Where one name is the beginning of another (`bus` and `bus[0].ifs`), the one by which the path leads
//! to a field is meant.

use serde_json::Value as Json;

use super::{StructValue, Value};
use crate::error::{Error, ErrorKind, Result};

impl StructValue {
    /// The field at `path`.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Value> {
        self.locate(path, 0).map(|(value, _)| value)
    }

    /// The field at `path`, to be changed. [`set`](Self::set) keeps its form and size, which the
    /// description of the stream tells; this leaves that to the caller.
    pub fn get_mut(&mut self, path: &str) -> Option<&mut Value> {
        let field = self.fields.iter_mut().find_map(|(name, value)| value.inside_mut(after(name, path)?));
        field.or_else(|| {
            let mut subsections = self.subsections.iter_mut();
            subsections.find_map(|each| each.get_mut(after(&each.name, path)?.strip_prefix('.')?))
        })
    }

    /// Where the field at `path` begins, in bytes from the start of the body.
    #[must_use]
    pub fn offset_of(&self, path: &str) -> Option<u64> {
        self.locate(path, 0).map(|(_, offset)| offset)
    }

    /// Changes the field at `path`, which is neither struct nor array, to what `json` says: a number or
    /// `"0x…"`, a bool, `null` for a timer, bytes in hexadecimal. Form and size stay as they are.
    ///
    /// # Errors
    /// If there is no such field, or it cannot hold that. Offsets count from the start of the body.
    pub fn set(&mut self, path: &str, json: &Json) -> Result<()> {
        let missing =
            || Error::new(ErrorKind::Invalid("there is no such field".into()), 0).in_field(path.to_owned());
        let offset = self.offset_of(path).ok_or_else(missing)?;
        let value = self.get_mut(path).ok_or_else(missing)?;
        let changed = value.scalar_from_json(json, Some(value.size()));
        *value = changed.map_err(|kind| Error::new(kind, offset).in_field(path.to_owned()))?;
        Ok(())
    }

    /// The field at `path` and its offset, if the struct begins at `at`.
    fn locate(&self, path: &str, mut at: u64) -> Option<(&Value, u64)> {
        for (name, value) in &self.fields {
            if let Some(found) = after(name, path).and_then(|rest| value.inside(rest, at)) {
                return Some(found);
            }
            at += value.size();
        }
        for subsection in &self.subsections {
            at += subsection.header_size();
            let inner = after(&subsection.name, path).and_then(|rest| rest.strip_prefix('.'));
            if let Some(found) = inner.and_then(|path| subsection.locate(path, at)) {
                return Some(found);
            }
            at += subsection.size();
        }
        None
    }
}

impl Value {
    /// What `path` (empty, `.name…` or `[index]…`) leads to from here, and its offset.
    fn inside(&self, path: &str, at: u64) -> Option<(&Self, u64)> {
        match self {
            _ if path.is_empty() => Some((self, at)),
            Self::Struct(value) => value.locate(path.strip_prefix('.')?, at),
            Self::Array(elements) => {
                let (index, rest) = index(path)?;
                let before: u64 = elements.get(..index)?.iter().map(Self::size).sum();
                elements.get(index)?.inside(rest, at + before)
            }
            _ => None,
        }
    }

    fn inside_mut(&mut self, path: &str) -> Option<&mut Self> {
        match self {
            value if path.is_empty() => Some(value),
            Self::Struct(value) => value.get_mut(path.strip_prefix('.')?),
            Self::Array(elements) => {
                let (index, rest) = index(path)?;
                elements.get_mut(index)?.inside_mut(rest)
            }
            _ => None,
        }
    }
}

/// What follows a name at the start of a path.
fn after<'p>(name: &str, path: &'p str) -> Option<&'p str> {
    path.strip_prefix(name).filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The index at the start of a path, and what follows it.
fn index(path: &str) -> Option<(usize, &str)> {
    let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
    Some((index.parse().ok()?, rest))
}
