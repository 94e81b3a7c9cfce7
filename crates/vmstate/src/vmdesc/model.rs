//! What the JSON description is made of, named as QEMU names it.

use serde::{Deserialize, Serialize};

use super::parse::DeviceKeys;

/// The whole description.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmDesc {
    /// The configuration section; older QEMUs (7.2 is one) do not describe it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<StructDesc>,
    /// Bytes of a target page.
    pub page_size: u64,
    /// The sections that have a description, in stream order.
    pub devices: Vec<DeviceDesc>,
}

/// The description of one section.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "DeviceKeys")]
pub struct DeviceDesc {
    /// The section's name (idstr).
    pub name: String,
    /// The section's instance.
    pub instance_id: u32,
    /// Bytes of the body, only for sections without a struct.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The struct; its name is missing for sections that have none.
    #[serde(flatten)]
    pub body: StructDesc,
}

/// The description of a struct: of a section, a nested struct or a subsection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StructDesc {
    /// The struct's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vmsd_name: String,
    /// The version written.
    #[serde(default)]
    pub version: u32,
    /// The fields that are there, in wire order.
    #[serde(default)]
    pub fields: Vec<FieldDesc>,
    /// The subsections that are there, in wire order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subsections: Vec<StructDesc>,
}

/// The description of a field, or of some elements of an array.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FieldDesc {
    /// The field's name.
    pub name: String,
    /// The element's place, where each element of an array has an entry. QEMU since 10.0 leaves it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// How many elements, where one entry stands for several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub array_len: Option<u64>,
    /// QEMU's name for the form.
    #[serde(rename = "type")]
    pub ty: String,
    /// The nested struct.
    #[serde(rename = "struct", skip_serializing_if = "Option::is_none")]
    pub structure: Option<StructDesc>,
    /// The nested struct of a `tmp` or `vstruct` field, whose keys QEMU writes into the field itself.
    #[serde(flatten)]
    pub spilled: Option<StructDesc>,
    /// Bytes of the field, or of each element.
    pub size: u64,
}

/// A field with all its entries: several of the same name in a row are the elements of one array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member<'d> {
    /// The field's name.
    pub name: &'d str,
    /// Its entries, at least one.
    pub entries: &'d [FieldDesc],
}

impl VmDesc {
    /// The description of the section of this name and instance.
    #[must_use]
    pub fn device(&self, name: &str, instance_id: u32) -> Option<&DeviceDesc> {
        self.devices.iter().find(|device| device.instance_id == instance_id && device.name == name)
    }
}

impl StructDesc {
    /// A struct without fields.
    #[must_use]
    pub fn new(vmsd_name: &str, version: u32) -> Self {
        Self { vmsd_name: vmsd_name.to_owned(), version, ..Self::default() }
    }

    /// The fields, each with all its entries.
    pub fn members(&self) -> impl Iterator<Item = Member<'_>> {
        self.fields
            .chunk_by(|entry, next| entry.name == next.name)
            .filter_map(|entries| entries.first().map(|first| Member { name: &first.name, entries }))
    }
}

impl FieldDesc {
    /// A field without a nested struct.
    #[must_use]
    pub fn new(name: &str, ty: &str, size: u64) -> Self {
        Self { name: name.to_owned(), ty: ty.to_owned(), size, ..Self::default() }
    }

    /// How many elements the entry stands for.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.array_len.unwrap_or(1)
    }

    /// The nested struct, if the field is one and QEMU says what is in it.
    #[must_use]
    pub fn nested(&self) -> Option<&StructDesc> {
        let nested = self.structure.as_ref().or(self.spilled.as_ref());
        nested.filter(|nested| !nested.vmsd_name.is_empty())
    }

    /// The form without what QEMU's names say of its checks: `int32 equal` is written as an `int32` is.
    #[must_use]
    pub fn plain_type(&self) -> &str {
        let checks = [" equal", " le"];
        checks.iter().find_map(|check| self.ty.strip_suffix(check)).unwrap_or(&self.ty)
    }
}

impl Member<'_> {
    /// Whether the field is an array. One of a single element looks like a field that is none.
    #[must_use]
    pub fn is_array(&self) -> bool {
        !matches!(self.entries, [entry] if entry.count() == 1)
    }
}
