//! Bytes to values.

use std::collections::HashSet;

use super::shape::{Element, FieldShape, Form, Run, Shape};
use super::{StructValue, Value};
use crate::error::{ErrorKind, Result};
use crate::field::Field;
use crate::reader::Reader;
use crate::state::SUBSECTION;
use crate::vmdesc::StructDesc;

/// The most fields without bytes: they take memory that no input backs. No section comes near.
const MAX_EMPTY: u64 = 1 << 16;

impl StructValue {
    /// Reads the body of a section, nested struct or subsection: as many bytes as the description
    /// accounts for, or all there are where it [does not tell](StructDesc::body_size). Whether the body
    /// should have ended there is for the caller to check.
    ///
    /// # Errors
    /// If the input ends early, or contradicts the description.
    pub fn decode(input: &mut Reader<'_>, description: &StructDesc) -> Result<Self> {
        let shape = Shape::new(description);
        let mut body = bounded(input, description.body_size().unwrap_or(u64::MAX));
        let length = body.left();
        let value = Decoder { empty: 0 }.structure(&mut body, &shape);
        let value =
            value.map_err(|e| if shape.name.is_empty() { e } else { e.in_scope(shape.name.to_string()) })?;
        input.bytes(length - body.left())?;
        Ok(value)
    }
}

/// A reader of the next `size` bytes, or of those that are left of them: the field that is cut, not
/// the struct around it, is to be named by the error.
fn bounded<'a>(input: &Reader<'a>, size: u64) -> Reader<'a> {
    let bytes = input.peek();
    let taken = usize::try_from(size).ok().and_then(|size| bytes.get(..size));
    Reader::new(taken.unwrap_or(bytes), input.offset())
}

struct Decoder {
    /// Fields without bytes so far.
    empty: u64,
}

impl Decoder {
    fn structure(&mut self, input: &mut Reader<'_>, shape: &Shape) -> Result<StructValue> {
        let mut fields = Vec::new();
        for (name, field) in &shape.fields {
            let value = self.field(input, field).map_err(|e| e.in_field(name.to_string()))?;
            fields.push((name.clone(), value));
        }
        let mut subsections = Vec::new();
        let mut names = HashSet::new();
        for subsection in &shape.subsections {
            if !names.insert(&subsection.name) {
                let name = subsection.name.to_string();
                return Err(input.fail(ErrorKind::RepeatedSubsection { name }));
            }
            let value = self.subsection(input, subsection);
            subsections.push(value.map_err(|e| e.in_scope(subsection.name.to_string()))?);
        }
        Ok(StructValue { name: shape.name.clone(), version: shape.version, fields, subsections })
    }

    fn subsection(&mut self, input: &mut Reader<'_>, shape: &Shape) -> Result<StructValue> {
        let at = input.clone();
        let marker = input.u8()?;
        if marker != SUBSECTION {
            let (what, found, expected) = ("subsection marker", marker.into(), "0x5");
            return Err(at.fail(ErrorKind::Unknown { what, found, expected }));
        }
        let (name, version) = (input.name()?, input.u32()?);
        if (name, version) != (&shape.name, shape.version) {
            let found = format!("subsection `{name}`, version {version}");
            let expected = format!("`{}`, version {}", shape.name, shape.version);
            return Err(at.fail(ErrorKind::NotEqual { found, expected }));
        }
        self.structure(input, shape)
    }

    fn field(&mut self, input: &mut Reader<'_>, field: &FieldShape) -> Result<Value> {
        match field {
            FieldShape::One(element) => self.element(input, element),
            FieldShape::Array(runs) => {
                let mut elements = Vec::new();
                for run in runs {
                    self.run(input, run, &mut elements)?;
                }
                Ok(Value::Array(elements))
            }
        }
    }

    fn run(&mut self, input: &mut Reader<'_>, run: &Run, elements: &mut Vec<Value>) -> Result<()> {
        let size = usize::try_from(run.element.size).unwrap_or(usize::MAX);
        let count = input.backed(run.elements(), size, u64::MAX, "elements")?;
        elements.reserve(count);
        for _ in 0..count {
            let element = self.element(input, &run.element).map_err(|e| e.at_index(elements.len()))?;
            elements.push(element);
        }
        Ok(())
    }

    fn element(&mut self, input: &mut Reader<'_>, element: &Element) -> Result<Value> {
        if element.size == 0 {
            self.empty += 1;
            if self.empty > MAX_EMPTY {
                let (what, found) = ("fields without bytes", self.empty);
                return Err(input.fail(ErrorKind::TooMany { what, found, limit: MAX_EMPTY }));
            }
        }
        match &element.form {
            Form::Scalar(scalar) => load_scalar(input, scalar, element.size),
            Form::Struct(shape) => {
                let mut body = bounded(input, element.size);
                let value = self.structure(&mut body, shape)?;
                body.finish()?;
                skip(input, element.size)?;
                Ok(Value::Struct(Box::new(value)))
            }
            Form::Rest { ty, after } => {
                let Some(after) = *after else {
                    let what = "a second array in a struct whose description stops at a null";
                    return Err(input.fail(ErrorKind::Unsupported(what.into())));
                };
                let left = input.left() as u64;
                let Some(size) = left.checked_sub(after) else {
                    return Err(input.fail(ErrorKind::Truncated { needed: after, left }));
                };
                Ok(Value::Bytes { ty: ty.clone(), bytes: skip(input, size)?.to_vec() })
            }
        }
    }
}

fn skip<'a>(input: &mut Reader<'a>, size: u64) -> Result<&'a [u8]> {
    input.bytes(usize::try_from(size).unwrap_or(usize::MAX))
}

fn load_scalar(input: &mut Reader<'_>, form: &Value, size: u64) -> Result<Value> {
    Ok(match form {
        Value::U8(_) => Value::U8(Field::<()>::load(input, &())?),
        Value::U16(_) => Value::U16(Field::<()>::load(input, &())?),
        Value::U32(_) => Value::U32(Field::<()>::load(input, &())?),
        Value::U64(_) => Value::U64(Field::<()>::load(input, &())?),
        Value::I8(_) => Value::I8(Field::<()>::load(input, &())?),
        Value::I16(_) => Value::I16(Field::<()>::load(input, &())?),
        Value::I32(_) => Value::I32(Field::<()>::load(input, &())?),
        Value::I64(_) => Value::I64(Field::<()>::load(input, &())?),
        Value::Bool(_) => Value::Bool(input.u8()?),
        Value::Timer(_) => Value::Timer(Field::<()>::load(input, &())?),
        Value::Bytes { ty, .. } => Value::Bytes { ty: ty.clone(), bytes: skip(input, size)?.to_vec() },
        Value::Struct(_) | Value::Array(_) => form.clone(),
    })
}
