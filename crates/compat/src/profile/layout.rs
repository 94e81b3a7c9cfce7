//! What a section's description says of its bytes, as far as a loader must agree with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use virtio::transport::ConfigImage;
use vmstate::value::{StructValue, Value};
use vmstate::vmdesc::{FieldDesc, StructDesc};

/// What must agree between the two sides of a described section.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Layout {
    /// Bytes of fields, without those of subsections, arrays, lists and trees.
    pub bytes: u64,
    /// Buffers whose length the stream may say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub buffers: Vec<ArrayShape>,
    /// Arrays.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arrays: Vec<ArrayShape>,
    /// Fields that the loader compares with its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checked: Vec<Checked>,
    /// Subsections that are there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subsections: Vec<SubsectionShape>,
    /// CPUs that hotplug state is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hotplug_cpus: Option<u64>,
    /// The configuration space, if it is a PCI device's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_space: Option<Space>,
}

/// A configuration space of any PCI device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Space(#[serde(with = "hex::serde")] pub Vec<u8>);

/// An array, or a buffer of bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArrayShape {
    /// The way to it.
    pub path: String,
    /// How many elements.
    pub count: u64,
    /// Integers of the section that have that value: one of them may be what says it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counted_by: Vec<String>,
}

/// A field that the loader compares with its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checked {
    /// The way to it.
    pub path: String,
    /// The struct that has it, and its name there: what QEMU says of a failure.
    pub field: String,
    /// How it is compared.
    pub check: Check,
    /// Its value.
    pub value: i128,
}

/// How a loader compares a field with its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// They must be the same.
    Equal,
    /// It must not be larger.
    AtMost,
}

/// A subsection that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubsectionShape {
    /// Its name.
    pub name: String,
    /// The version it is written in.
    pub version: u32,
}

/// Forms whose length is part of the content.
const VARIABLE: [&str; 6] = ["qtailq", "gtree", "qlist", "scsi-requests", "virtio", "bitmap"];

/// How many integers are noted as what may count an array.
const MOST_COUNTERS: usize = 16;

/// QEMU's name of the state that ACPI CPU hotplug has of all CPUs there can be.
const CPU_HOTPLUG: &str = "CPU hotplug state";

impl Layout {
    /// What a description, and the content that goes with it, say.
    #[must_use]
    pub fn new(description: &StructDesc, content: &StructValue) -> Self {
        let mut integers = BTreeMap::new();
        collect(content, "", &mut integers);
        let mut layout = Self { bytes: bytes(description), ..Self::default() };
        layout.add(description, "", &integers);
        layout.config_space = config_space(content).map(|bytes| Space(bytes.to_vec()));
        layout
    }

    fn add(&mut self, description: &StructDesc, path: &str, integers: &BTreeMap<String, i128>) {
        for member in description.members() {
            let path = join(path, member.name);
            if member.is_array() {
                let count = member.entries.iter().map(FieldDesc::count).sum();
                let counted_by = counters(integers, count);
                self.arrays.push(ArrayShape { path: path.clone(), count, counted_by });
            }
            if description.vmsd_name == CPU_HOTPLUG && member.name == "devs" {
                self.hotplug_cpus = Some(member.entries.iter().map(FieldDesc::count).sum());
            }
            for (index, entry) in member.entries.iter().enumerate() {
                let path = if member.is_array() { format!("{path}[{index}]") } else { path.clone() };
                if entry.ty == "buffer" && !member.is_array() {
                    let counted_by = counters(integers, entry.size);
                    if !counted_by.is_empty() {
                        self.buffers.push(ArrayShape { path: path.clone(), count: entry.size, counted_by });
                    }
                }
                let check = match entry.ty.rsplit_once(' ') {
                    Some((_, "equal")) => Some(Check::Equal),
                    Some((_, "le")) => Some(Check::AtMost),
                    _ => None,
                };
                if let (Some(check), Some(&value)) = (check, integers.get(&path)) {
                    let field = format!("{}:{}", description.vmsd_name, member.name);
                    self.checked.push(Checked { path: path.clone(), field, check, value });
                }
                if let Some(nested) = entry.nested() {
                    self.add(nested, &path, integers);
                }
            }
        }
        for subsection in &description.subsections {
            let (name, version) = (subsection.vmsd_name.clone(), subsection.version);
            let path = join(path, &name);
            self.subsections.push(SubsectionShape { name, version });
            self.add(subsection, &path, integers);
        }
    }

    /// The array at a path.
    #[must_use]
    pub fn array(&self, path: &str) -> Option<&ArrayShape> {
        self.arrays.iter().find(|array| array.path == path)
    }

    /// Whether a subsection is there.
    #[must_use]
    pub fn writes(&self, subsection: &str) -> bool {
        self.subsections.iter().any(|known| known.name == subsection)
    }
}

impl ArrayShape {
    /// Whether one integer has the number of elements on both sides, so that the stream says it.
    #[must_use]
    pub fn is_counted_as(&self, other: &Self) -> bool {
        self.counted_by.iter().any(|path| other.counted_by.contains(path))
    }
}

impl Space {
    /// The bytes of a virtio device's.
    #[must_use]
    pub fn of(image: &ConfigImage) -> Self {
        Self(image.as_bytes().to_vec())
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// [`Layout::bytes`].
fn bytes(description: &StructDesc) -> u64 {
    let fixed = description.members().filter(|member| !member.is_array()).flat_map(|member| member.entries);
    let sizes = fixed.map(|field| match field.nested() {
        Some(nested) => bytes(nested),
        None if VARIABLE.contains(&field.ty.as_str()) => 0,
        None => field.size,
    });
    sizes.fold(0, u64::saturating_add)
}

/// The integers of a section that have a value.
fn counters(integers: &BTreeMap<String, i128>, count: u64) -> Vec<String> {
    let equal = integers.iter().filter(|&(_, &value)| value == i128::from(count));
    equal.map(|(path, _)| path.clone()).take(MOST_COUNTERS).collect()
}

/// All integers of a struct, by the way to them.
fn collect(content: &StructValue, path: &str, integers: &mut BTreeMap<String, i128>) {
    for (name, value) in &content.fields {
        collect_value(value, join(path, name), integers);
    }
    for subsection in &content.subsections {
        collect(subsection, &join(path, &subsection.name), integers);
    }
}

/// Elements of an array that are looked at: what is counted or compared is never far inside a large one.
const ELEMENTS: usize = 64;

fn collect_value(value: &Value, path: String, integers: &mut BTreeMap<String, i128>) {
    match value {
        Value::Struct(nested) => collect(nested, &path, integers),
        Value::Array(elements) => {
            for (index, element) in elements.iter().take(ELEMENTS).enumerate() {
                collect_value(element, format!("{path}[{index}]"), integers);
            }
        }
        value => {
            let integer = value.as_u64().map(i128::from).or_else(|| value.as_i64().map(i128::from));
            if let Some(integer) = integer {
                integers.insert(path, integer);
            }
        }
    }
}

/// The configuration space in a PCI device's section.
fn config_space(content: &StructValue) -> Option<&[u8]> {
    content.fields.iter().find_map(|(_, field)| match field {
        Value::Bytes { ty, bytes } if **ty == *"pci config" => Some(bytes.as_slice()),
        Value::Struct(nested) => config_space(nested),
        _ => None,
    })
}
