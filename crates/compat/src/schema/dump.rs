//! The output of QEMU's `-dump-vmstate FILE`: all device types of a binary that have a section, as one
//! machine type has them.
//!
//! An object with a member for each type, `{"Name", "version_id", "minimum_version_id", "Description"}`, and
//! one, `vmschkmachine`, with the machine type. `size` is that of a field in QEMU's memory: for numbers and
//! buffers that is also their size in the stream, for structs and pointers it is not; 0 stands for a form that
//! writes itself. `num` came after 7.2.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::model::{Count, Field, Schema, SchemaSection, Source, Struct};

/// Why a text is not a dump.
#[derive(Debug, thiserror::Error)]
#[error("not the output of -dump-vmstate: {0}")]
pub struct DumpError(#[from] serde_json::Error);

/// The member that names the machine type.
const MACHINE: &str = "vmschkmachine";

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Description")]
    description: Option<Description>,
}

#[derive(Deserialize)]
struct Description {
    #[serde(alias = "vmsd_name")]
    name: String,
    version_id: i64,
    minimum_version_id: i64,
    #[serde(rename = "Fields", default)]
    fields: Vec<FieldEntry>,
    #[serde(rename = "Subsections", default)]
    subsections: Vec<Description>,
}

#[derive(Deserialize)]
struct FieldEntry {
    field: String,
    version_id: i64,
    field_exists: bool,
    size: u64,
    num: Option<u64>,
    #[serde(rename = "Description")]
    description: Option<Description>,
}

impl Schema {
    /// Whether a text looks like a dump, rather than a stream.
    #[must_use]
    pub fn is_dump(text: &[u8]) -> bool {
        text.trim_ascii_start().starts_with(b"{")
    }

    /// Reads a dump.
    ///
    /// # Errors
    /// If it is not one.
    pub fn from_dump(text: &[u8]) -> Result<Self, DumpError> {
        let entries: BTreeMap<String, Entry> = serde_json::from_slice(text)?;
        let mut schema = Self { source: Source::Dump, machine: None, sections: Vec::new() };
        for (device_type, Entry { name, description }) in entries {
            match description {
                Some(body) => {
                    schema.sections.push(SchemaSection { device_type: Some(device_type), body: body.into() });
                }
                None if device_type == MACHINE => schema.machine = Some(name),
                None => {}
            }
        }
        Ok(schema)
    }
}

impl From<Description> for Struct {
    fn from(description: Description) -> Self {
        Self {
            name: description.name,
            version: version(description.version_id),
            minimum_version: version(description.minimum_version_id),
            fields: description.fields.into_iter().map(Field::from).collect(),
            subsections: description.subsections.into_iter().map(Self::from).collect(),
            ..Self::default()
        }
    }
}

impl From<FieldEntry> for Field {
    fn from(entry: FieldEntry) -> Self {
        Self {
            name: entry.field,
            size: (entry.size > 0).then_some(entry.size),
            count: entry.num.map_or(Count::Varies, Count::Fixed),
            since: version(entry.version_id),
            when: entry.field_exists.then(|| "its condition holds".to_owned()),
            structs: entry.description.map(Struct::from).into_iter().collect(),
            ..Self::default()
        }
    }
}

fn version(id: i64) -> u32 {
    u32::try_from(id).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_dump_of_either_age() {
        let dump = r#"{
            "vmschkmachine": {"Name": "pc-q35-10.0"},
            "b": {"Name": "b", "version_id": 2, "minimum_version_id": 1, "Description": {
                "vmsd_name": "bee", "version_id": 2, "minimum_version_id": 1,
                "Fields": [
                    {"field": "x", "version_id": 2, "field_exists": false, "num": 3, "size": 4},
                    {"field": "y", "version_id": 0, "field_exists": true, "size": 0, "Description": {
                        "name": "inner", "version_id": 1, "minimum_version_id": 1}}],
                "Subsections": [{"name": "bee/s", "version_id": 1, "minimum_version_id": 1}]}}
        }"#;
        let schema = Schema::from_dump(dump.as_bytes()).unwrap();
        assert_eq!(schema.machine.as_deref(), Some("pc-q35-10.0"));
        let [section] = schema.sections.as_slice() else { panic!("{schema:?}") };
        assert_eq!((section.device_type.as_deref(), section.body.name.as_str()), (Some("b"), "bee"));
        let [x, y] = section.body.fields.as_slice() else { panic!("{section:?}") };
        assert_eq!((x.size, x.count, x.since, x.when.is_some()), (Some(4), Count::Fixed(3), 2, false));
        assert_eq!((y.size, y.count, y.when.is_some()), (None, Count::Varies, true));
        assert_eq!(y.structs[0].name, "inner");
        assert_eq!(section.body.subsections[0].name, "bee/s");
    }

    #[test]
    fn refuses_other_json() {
        assert!(Schema::from_dump(br#"{"a": 1}"#).unwrap_err().to_string().contains("-dump-vmstate"));
        assert!(Schema::from_dump(b"[").is_err());
    }
}
