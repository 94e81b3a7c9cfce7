//! Reading the JSON description.
//!
//! Unknown keys are skipped, so that what later QEMUs add does no harm. The nesting is bounded by
//! `serde_json`'s own limit of 128 levels, three of which make one level of structs; whatever walks a
//! parsed description may therefore recurse.

use std::fmt;

use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::model::{DeviceDesc, FieldDesc, StructDesc, VmDesc};
use crate::error::{Error, ErrorKind, Result};

/// Reads a description, which begins `offset` bytes into the stream.
///
/// # Errors
/// [`ErrorKind::Description`] if it is not JSON, not of the form QEMU writes, or nested too deeply.
pub fn parse(bytes: &[u8], offset: u64) -> Result<VmDesc> {
    serde_json::from_slice(bytes).map_err(|error| {
        let text = error.to_string();
        let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
        let at = position(bytes, error.line(), error.column());
        Error::new(ErrorKind::Description(text.to_owned()), offset.saturating_add(at as u64))
    })
}

/// The place of a line and column, both of which count from 1.
fn position(bytes: &[u8], line: usize, column: usize) -> usize {
    let lines = bytes.split_inclusive(|&byte| byte == b'\n');
    let start: usize = lines.take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    (start + column.saturating_sub(1)).min(bytes.len())
}

/// The keys of a section, as they stand beside each other in JSON.
#[derive(Deserialize)]
pub(super) struct DeviceKeys {
    name: String,
    instance_id: u32,
    size: Option<u64>,
    #[serde(default)]
    vmsd_name: String,
    #[serde(default)]
    version: u32,
    #[serde(default)]
    fields: Vec<FieldDesc>,
    #[serde(default)]
    subsections: Vec<StructDesc>,
}

impl From<DeviceKeys> for DeviceDesc {
    fn from(keys: DeviceKeys) -> Self {
        let DeviceKeys { name, instance_id, size, vmsd_name, version, fields, subsections } = keys;
        Self { name, instance_id, size, body: StructDesc { vmsd_name, version, fields, subsections } }
    }
}

/// The keys of a field, among them those that a nested struct spills into it.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Name,
    Index,
    ArrayLen,
    Type,
    Struct,
    Size,
    VmsdName,
    Version,
    Fields,
    Subsections,
    #[serde(other)]
    Unknown,
}

/// Where QEMU saves a struct by other means than a `struct` field, the struct's keys end up in the
/// field's own object. A `tmp` or `vstruct` field is that struct; in a list or tree (`qtailq`, `qlist`,
/// `gtree`) they come once for each element, the same keys again and again, and do not tell the layout.
impl<'de> Deserialize<'de> for FieldDesc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldVisitor)
    }
}

struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = FieldDesc;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the description of a field")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FieldDesc, A::Error> {
        let (mut name, mut ty, mut size) = (None, None, None);
        let mut field = FieldDesc::default();
        let mut child = StructDesc::default();
        let mut children = 0_usize;
        while let Some(key) = map.next_key()? {
            match key {
                Key::Name => name = Some(map.next_value()?),
                Key::Index => field.index = Some(map.next_value()?),
                Key::ArrayLen => field.array_len = Some(map.next_value()?),
                Key::Type => ty = Some(map.next_value()?),
                Key::Struct => field.structure = Some(map.next_value()?),
                Key::Size => size = Some(map.next_value()?),
                Key::VmsdName => {
                    children += 1;
                    child.vmsd_name = map.next_value()?;
                }
                Key::Version => child.version = map.next_value()?,
                Key::Fields => child.fields = map.next_value()?,
                Key::Subsections => child.subsections = map.next_value()?,
                Key::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        field.name = name.ok_or_else(|| A::Error::missing_field("name"))?;
        field.ty = ty.ok_or_else(|| A::Error::missing_field("type"))?;
        field.size = size.ok_or_else(|| A::Error::missing_field("size"))?;
        if children == 1 && matches!(field.ty.as_str(), "tmp" | "vstruct") {
            field.spilled = Some(child);
        }
        Ok(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(json: &str) -> FieldDesc {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_list_spills_the_keys_of_each_element() {
        let element =
            r#""vmsd_name": "e", "version": 1, "fields": [{"name": "id", "type": "uint32", "size": 4}]"#;
        let once = field(&format!(r#"{{"name": "l", "type": "qlist", {element}, "size": 6}}"#));
        let twice = field(&format!(r#"{{"name": "l", "type": "qlist", {element}, {element}, "size": 11}}"#));
        assert_eq!(once, FieldDesc::new("l", "qlist", 6));
        assert_eq!(twice, FieldDesc::new("l", "qlist", 11));
    }

    #[test]
    fn a_tmp_field_is_the_struct_it_spills() {
        let tmp = field(
            r#"{"name": "tmp", "type": "tmp", "vmsd_name": "fpreg_tmp", "version": 0,
                "fields": [{"name": "tmp_mant", "type": "uint64", "size": 8}], "size": 8}"#,
        );
        assert_eq!(tmp.nested().unwrap().fields, [FieldDesc::new("tmp_mant", "uint64", 8)]);
        assert_eq!(field(&serde_json::to_string(&tmp).unwrap()), tmp);
    }

    #[test]
    fn unknown_keys_are_skipped() {
        let json = r#"{"name": "x", "version_id": [{}], "type": "int8", "size": 1, "later": {"size": 9}}"#;
        assert_eq!(field(json), FieldDesc::new("x", "int8", 1));
    }

    #[test]
    fn an_error_has_its_place_in_the_stream() {
        let json = b"{\"page_size\": 4096,\n \"devices\": [}";
        let error = parse(json, 100).unwrap_err();
        assert_eq!(error.offset(), 100 + json.len() as u64 - 1);
        assert!(matches!(error.kind(), ErrorKind::Description(text) if text == "expected value"), "{error}");

        let cut = parse(&json[..25], 100).unwrap_err();
        assert_eq!(cut.offset(), 100 + 24, "{cut}");
        assert!(parse(b"", 7).is_err_and(|error| error.offset() == 7));
    }

    #[test]
    fn nesting_is_bounded() {
        let levels = 100_000;
        let open = r#"{"name": "s", "type": "struct", "size": 1, "struct": {"vmsd_name": "n", "fields": ["#;
        let field = format!("{}{}", open.repeat(levels), "]}}".repeat(levels));
        let json = format!(
            r#"{{"page_size": 1, "devices": [{{"name": "d", "instance_id": 0, "fields": [{field}]}}]}}"#
        );
        let error = parse(json.as_bytes(), 0).unwrap_err();
        assert!(error.to_string().contains("recursion limit"), "{error}");
    }
}
