//! Values to JSON, and back by the description; the module's documentation says what becomes what.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value as Json};

use super::scalar::mismatch;
use super::shape::{Element, FieldShape, Form, Run, SUBSECTIONS, Shape};
use super::{StructValue, Value};
use crate::error::{Error, ErrorKind, Result};
use crate::vmdesc::{StructDesc, subsection_header_size};

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::U8(value) => value.serialize(serializer),
            Self::U16(value) => value.serialize(serializer),
            Self::U32(value) => value.serialize(serializer),
            Self::U64(value) => value.serialize(serializer),
            Self::I8(value) => value.serialize(serializer),
            Self::I16(value) => value.serialize(serializer),
            Self::I32(value) => value.serialize(serializer),
            Self::I64(value) => value.serialize(serializer),
            Self::Bool(byte @ (0 | 1)) => (*byte == 1).serialize(serializer),
            Self::Bool(byte) => byte.serialize(serializer),
            Self::Timer(timer) => timer.serialize(serializer),
            Self::Bytes { bytes, .. } => hex::serialize(bytes, serializer),
            Self::Struct(value) => value.serialize(serializer),
            Self::Array(elements) => elements.serialize(serializer),
        }
    }
}

impl Serialize for StructValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let subsections = Subsections(&self.subsections);
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in &self.fields {
            map.serialize_entry(&**name, value)?;
        }
        if !self.subsections.is_empty() {
            map.serialize_entry(SUBSECTIONS, &subsections)?;
        }
        map.end()
    }
}

struct Subsections<'a>(&'a [StructValue]);

impl Serialize for Subsections<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|subsection| (&*subsection.name, subsection)))
    }
}

impl StructValue {
    /// Makes the value from the JSON it is shown as, and the description. Offsets in errors count from
    /// the start of the body.
    ///
    /// # Errors
    /// If a field or subsection is missing, not described, or not of its form.
    pub fn from_json(description: &StructDesc, json: &Json) -> Result<Self> {
        let shape = Shape::new(description);
        let value = FromJson { at: 0 }.structure(&shape, json);
        value.map_err(|e| if shape.name.is_empty() { e } else { e.in_scope(shape.name.to_string()) })
    }
}

struct FromJson {
    /// Bytes of the body that precede the field.
    at: u64,
}

impl FromJson {
    fn structure(&mut self, shape: &Shape, json: &Json) -> Result<StructValue> {
        let object = self.object(json)?;
        let known =
            |name: &str| name == SUBSECTIONS || shape.fields.iter().any(|(field, _)| &**field == name);
        let mut fields = Vec::new();
        for (name, field) in &shape.fields {
            let value = match object.get(&**name) {
                Some(json) => self.field(field, json),
                None => Err(self.fail(ErrorKind::Invalid("missing".into()))),
            };
            fields.push((name.clone(), value.map_err(|e| e.in_field(name.to_string()))?));
        }
        let described = fields.len() + usize::from(object.contains_key(SUBSECTIONS));
        if object.len() > described
            && let Some(name) = object.keys().find(|name| !known(name))
        {
            return Err(self.fail(ErrorKind::Invalid("not described".into())).in_field(name.clone()));
        }
        let subsections = match object.get(SUBSECTIONS) {
            Some(json) => self.subsections(shape, self.object(json)?)?,
            None => self.subsections(shape, &Map::new())?,
        };
        Ok(StructValue { name: shape.name.clone(), version: shape.version, fields, subsections })
    }

    fn subsections(&mut self, shape: &Shape, object: &Map<String, Json>) -> Result<Vec<StructValue>> {
        let mut subsections = Vec::new();
        for subsection in &shape.subsections {
            self.at = self.at.saturating_add(subsection_header_size(&subsection.name));
            let value = match object.get(&*subsection.name) {
                Some(json) => self.structure(subsection, json),
                None => Err(self.fail(ErrorKind::Invalid("missing".into()))),
            };
            subsections.push(value.map_err(|e| e.in_scope(subsection.name.to_string()))?);
        }
        let known = |name: &str| shape.subsections.iter().any(|subsection| &*subsection.name == name);
        if object.len() > subsections.len()
            && let Some(name) = object.keys().find(|name| !known(name))
        {
            return Err(self.fail(ErrorKind::Invalid("not described".into())).in_scope(name.clone()));
        }
        Ok(subsections)
    }

    fn field(&mut self, field: &FieldShape, json: &Json) -> Result<Value> {
        match field {
            FieldShape::One(element) => self.element(element, json),
            FieldShape::Array(runs) => self.array(runs, json),
        }
    }

    fn array(&mut self, runs: &[Run], json: &Json) -> Result<Value> {
        let Json::Array(array) = json else { return Err(self.fail(mismatch(json, "an array"))) };
        let described = runs.iter().fold(0, |count: u64, run| count.saturating_add(run.elements()));
        if described != array.len() as u64 {
            let (found, expected) = (format!("{} elements", array.len()), format!("{described} elements"));
            return Err(self.fail(ErrorKind::NotEqual { found, expected }));
        }
        let mut elements = Vec::new();
        let mut rest = array.iter();
        for run in runs {
            for json in rest.by_ref().take(usize::try_from(run.elements()).unwrap_or(usize::MAX)) {
                let element = self.element(&run.element, json).map_err(|e| e.at_index(elements.len()))?;
                elements.push(element);
            }
        }
        Ok(Value::Array(elements))
    }

    fn element(&mut self, element: &Element, json: &Json) -> Result<Value> {
        let (form, size) = match &element.form {
            Form::Struct(shape) => return Ok(Value::Struct(Box::new(self.structure(shape, json)?))),
            Form::Scalar(form) => (form.clone(), Some(element.size)),
            Form::Rest { ty, .. } => (Value::Bytes { ty: ty.clone(), bytes: Vec::new() }, None),
        };
        let value = form.scalar_from_json(json, size).map_err(|kind| self.fail(kind))?;
        let length = value.as_bytes().map_or(element.size, |bytes| bytes.len() as u64);
        self.at = self.at.saturating_add(length);
        Ok(value)
    }

    fn object<'j>(&self, json: &'j Json) -> Result<&'j Map<String, Json>> {
        json.as_object().ok_or_else(|| self.fail(mismatch(json, "an object")))
    }

    fn fail(&self, kind: ErrorKind) -> Error {
        Error::new(kind, self.at)
    }
}
