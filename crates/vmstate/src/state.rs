//! Structs: fields, then subsections, with versions.
//!
//! `#[derive(VmState)]` implements [`VmState`] and [`Field`] for a struct; the functions
//! here are what the derived code has in common.

use std::fmt::Display;

use crate::description::Described;
use crate::error::{ErrorKind, Result};
use crate::field::Field;
use crate::reader::Reader;
use crate::vmdesc::{FieldDesc, StructDesc};
use crate::writer::Writer;

/// The byte before a subsection.
pub const SUBSECTION: u8 = 0x05;

/// A struct with a description: it is loaded from a body, and saved to one.
///
/// A body has neither name nor version: a section header or a subsection carries them.
pub trait VmState<Cx: ?Sized = ()>: Described + Sized {
    /// Reads fields, then subsections, of a body of a version that was checked.
    ///
    /// # Errors
    /// If the input ends early, or a value or subsection is not allowed.
    fn load_fields(input: &mut Reader<'_>, version: u32, cx: &Cx) -> Result<Self>;

    /// Writes fields, then the subsections that are needed (those that are `Some`).
    fn save_body(&self, out: &mut Writer);

    /// Describes the value as QEMU's JSON description does.
    fn describe_body(&self) -> StructDesc;

    /// Checks the version, then reads fields and subsections.
    ///
    /// # Errors
    /// [`ErrorKind::Version`], and whatever the fields say.
    fn load_body(input: &mut Reader<'_>, version: u32, cx: &Cx) -> Result<Self> {
        let description = Self::DESCRIPTION;
        let supported = description.minimum_version..=description.version;
        if !supported.contains(&version) {
            let kind = ErrorKind::Version {
                found: version,
                minimum: description.minimum_version,
                version: description.version,
            };
            return Err(input.fail(kind).in_scope(description.name));
        }
        Self::load_fields(input, version, cx).map_err(|e| e.in_scope(description.name))
    }
}

/// The name of the subsection that comes next, if it belongs to the struct called `owner`.
///
/// QEMU's rule: a subsection belongs to the innermost struct whose name its own begins with. One that
/// does not belong here is left for an enclosing struct; if none takes it, the section does not end
/// with its footer.
#[must_use]
pub fn next_subsection<'a>(input: &Reader<'a>, owner: &str) -> Option<&'a str> {
    let (&marker, rest) = input.peek().split_first()?;
    let (&length, rest) = rest.split_first()?;
    if marker != SUBSECTION || usize::from(length) <= owner.len() {
        return None;
    }
    let name = std::str::from_utf8(rest.get(..usize::from(length))?).ok()?;
    name.starts_with(owner).then_some(name)
}

/// Reads the subsection that comes next into its slot.
///
/// # Errors
/// If the slot is taken, or the body cannot be read.
pub fn load_subsection<Cx: ?Sized, T: VmState<Cx>>(
    slot: &mut Option<T>,
    input: &mut Reader<'_>,
    cx: &Cx,
) -> Result<()> {
    if slot.is_some() {
        let name = T::DESCRIPTION.name.to_owned();
        return Err(input.fail(ErrorKind::RepeatedSubsection { name }));
    }
    input.u8()?;
    input.name()?;
    let version = input.u32().map_err(|e| e.in_field("version").in_scope(T::DESCRIPTION.name))?;
    *slot = Some(T::load_body(input, version, cx)?);
    Ok(())
}

/// Writes a subsection, if it is needed.
pub fn save_subsection<Cx: ?Sized, T: VmState<Cx>>(slot: Option<&T>, out: &mut Writer) {
    if let Some(state) = slot {
        out.u8(SUBSECTION);
        out.name(T::DESCRIPTION.name);
        out.u32(T::DESCRIPTION.version);
        state.save_body(out);
    }
}

/// A failure: the subsection that comes next belongs to `T`, and `T` does not know it.
#[cold]
#[must_use]
pub fn unknown_subsection<T: Described>(input: &Reader<'_>, name: &str) -> crate::Error {
    let known: Vec<_> = T::DESCRIPTION.subsections.iter().map(|sub| sub.description.name).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    input.fail(ErrorKind::UnknownSubsection { name: name.to_owned(), known })
}

/// Reads a field that has only one right value: `expected`, if that is known.
///
/// # Errors
/// [`ErrorKind::NotEqual`], at the place of the field, or if it cannot be read.
pub fn load_equal<Cx: ?Sized, T: Field<Cx> + PartialEq + Display>(
    input: &mut Reader<'_>,
    expected: Option<T>,
    cx: &Cx,
) -> Result<T> {
    let at = input.clone();
    let found = T::load(input, cx)?;
    match expected {
        Some(expected) if expected != found => {
            let (found, expected) = (found.to_string(), expected.to_string());
            Err(at.fail(ErrorKind::NotEqual { found, expected }))
        }
        _ => Ok(found),
    }
}

/// Describes a struct that is a field of another.
#[must_use]
pub fn describe_struct<Cx: ?Sized, T: VmState<Cx>>(state: &T, name: &str) -> Vec<FieldDesc> {
    let mut body = Writer::new();
    state.save_body(&mut body);
    let structure = Some(state.describe_body());
    vec![FieldDesc { structure, ..FieldDesc::new(name, "struct", body.len() as u64) }]
}
