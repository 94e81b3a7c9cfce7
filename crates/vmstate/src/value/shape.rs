//! The shape of a struct: its description, made ready to decode by.
//!
//! Entries of one array are put together, repeated names are told apart, names of types become the
//! forms of [`Value`]. Names are shared by all values made from the shape.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Value;
use crate::types::Timer;
use crate::vmdesc::{FieldDesc, Member, StructDesc};

/// The key under which JSON has the subsections; no field is called so.
pub(super) const SUBSECTIONS: &str = "subsections";

/// A struct.
pub(super) struct Shape {
    pub(super) name: Arc<str>,
    pub(super) version: u32,
    pub(super) fields: Vec<(Arc<str>, FieldShape)>,
    pub(super) subsections: Vec<Shape>,
}

/// A field.
pub(super) enum FieldShape {
    One(Element),
    Array(Vec<Run>),
}

/// Elements of an array that are alike.
pub(super) struct Run {
    pub(super) count: u64,
    pub(super) element: Element,
}

/// A field that is no array, or an element of one.
pub(super) struct Element {
    /// Bytes.
    pub(super) size: u64,
    pub(super) form: Form,
}

impl Run {
    fn new(owner: &StructDesc, place: usize, entry: &FieldDesc) -> Self {
        Self { count: entry.count(), element: Element::new(owner, place, entry) }
    }

    /// How many elements a value has of these. Elements of no bytes hold nothing: however many there
    /// are said to be, there are none.
    pub(super) fn elements(&self) -> u64 {
        if self.element.size == 0 { 0 } else { self.count }
    }
}

/// The form of an [`Element`].
pub(super) enum Form {
    /// A value of this form; the content is of no interest.
    Scalar(Value),
    Struct(Shape),
    /// An array that [stops at a null](FieldDesc::stops_at_null): all bytes but those that follow the
    /// field, if their number is known.
    Rest {
        ty: Arc<str>,
        after: Option<u64>,
    },
}

impl Shape {
    pub(super) fn new(description: &StructDesc) -> Self {
        let mut names = UniqueNames::default();
        let mut place = 0;
        let field = |member: Member<'_>| {
            let shape = FieldShape::new(description, place, &member);
            place += member.entries.len();
            (names.unique(member.name), shape)
        };
        Self {
            name: description.vmsd_name.as_str().into(),
            version: description.version,
            fields: description.members().map(field).collect(),
            subsections: description.subsections.iter().map(Self::new).collect(),
        }
    }
}

impl FieldShape {
    /// The shape of the field whose first entry is at `place` in its struct.
    fn new(owner: &StructDesc, place: usize, member: &Member<'_>) -> Self {
        match member.entries {
            [entry] if !member.is_array() || entry.stops_at_null() => {
                Self::One(Element::new(owner, place, entry))
            }
            entries => {
                Self::Array((place..).zip(entries).map(|(at, entry)| Run::new(owner, at, entry)).collect())
            }
        }
    }
}

impl Element {
    fn new(owner: &StructDesc, place: usize, entry: &FieldDesc) -> Self {
        let form = match entry.nested() {
            Some(nested) => Form::Struct(Shape::new(nested)),
            None if entry.stops_at_null() => {
                Form::Rest { ty: entry.ty.as_str().into(), after: owner.size_after(place) }
            }
            None => Form::Scalar(scalar(entry)),
        };
        Self { size: entry.size, form }
    }
}

fn scalar(entry: &FieldDesc) -> Value {
    match (entry.plain_type(), entry.size) {
        ("uint8", 1) => Value::U8(0),
        ("uint16", 2) => Value::U16(0),
        ("uint32", 4) => Value::U32(0),
        ("uint64", 8) => Value::U64(0),
        ("int8", 1) => Value::I8(0),
        ("int16", 2) => Value::I16(0),
        ("int32", 4) => Value::I32(0),
        ("int64", 8) => Value::I64(0),
        ("bool", 1) => Value::Bool(0),
        ("timer", 8) => Value::Timer(Timer(None)),
        _ => Value::Bytes { ty: entry.ty.as_str().into(), bytes: Vec::new() },
    }
}

/// Tells repeated names apart.
struct UniqueNames {
    taken: HashSet<Arc<str>>,
    /// The last number that a name was given.
    numbers: HashMap<Arc<str>, u64>,
}

impl Default for UniqueNames {
    fn default() -> Self {
        Self { taken: HashSet::from([SUBSECTIONS.into()]), numbers: HashMap::new() }
    }
}

impl UniqueNames {
    fn unique(&mut self, name: &str) -> Arc<str> {
        let name: Arc<str> = name.into();
        if self.taken.insert(Arc::clone(&name)) {
            return name;
        }
        let number = self.numbers.entry(Arc::clone(&name)).or_insert(1);
        loop {
            *number += 1;
            let unique: Arc<str> = format!("{name}#{number}").into();
            if self.taken.insert(Arc::clone(&unique)) {
                return unique;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_names_are_told_apart() {
        let mut names = UniqueNames::default();
        let all = ["unused", "unused#2", "unused", "subsections", "unused"].map(|name| names.unique(name));
        assert_eq!(
            all.each_ref().map(|name| &**name),
            ["unused", "unused#2", "unused#3", "subsections#2", "unused#4"]
        );
    }
}
