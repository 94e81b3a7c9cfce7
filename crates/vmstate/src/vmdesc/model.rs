//! What the JSON description is made of, named as QEMU names it.

use serde::{Deserialize, Serialize};

/// The whole description.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmDesc {
    /// The configuration section.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<StructDesc>,
    /// Bytes of a target page.
    pub page_size: u64,
    /// The sections that have a description, in stream order.
    pub devices: Vec<DeviceDesc>,
}

/// The description of one section.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceDesc {
    /// The section's name (idstr).
    pub name: String,
    /// The section's instance.
    pub instance_id: u32,
    /// Bytes of the body, only for sections without a struct.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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

/// The description of a field, or of one element of an array.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldDesc {
    /// The field's name.
    pub name: String,
    /// The element's place, where each element of an array has an entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// How many elements, where one entry stands for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub array_len: Option<u64>,
    /// QEMU's name for the form.
    #[serde(rename = "type")]
    pub ty: String,
    /// The nested struct.
    #[serde(default, rename = "struct", skip_serializing_if = "Option::is_none")]
    pub structure: Option<StructDesc>,
    /// Bytes of the field, or of each element.
    pub size: u64,
}

impl StructDesc {
    /// A struct without fields.
    #[must_use]
    pub fn new(vmsd_name: &str, version: u32) -> Self {
        Self { vmsd_name: vmsd_name.to_owned(), version, ..Self::default() }
    }
}

impl FieldDesc {
    /// A field without a nested struct.
    #[must_use]
    pub fn new(name: &str, ty: &str, size: u64) -> Self {
        Self { name: name.to_owned(), ty: ty.to_owned(), size, ..Self::default() }
    }
}
