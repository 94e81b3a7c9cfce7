//! A description of sections, whoever made it: vmig's structs, QEMU's `-dump-vmstate`, a stream.

use serde::Serialize;
use vmstate::description::{Description, FieldDescription, Length, SubsectionDescription, Type};
use vmstate::vmdesc::{StructDesc, VmDesc};

/// The sections of one side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Schema {
    /// What made it.
    pub source: Source,
    /// The machine type, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// The sections.
    pub sections: Vec<SchemaSection>,
}

/// What made a [`Schema`]: that decides what its silence means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// vmig: it has the sections it models, and passes on all others as they are.
    Vmig,
    /// QEMU's `-dump-vmstate`: all device types of the binary, but no section that is not a device's.
    Dump,
    /// The description in a stream: what one machine wrote, without what it could have written.
    Stream,
}

/// A section of a [`Schema`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SchemaSection {
    /// QEMU's name of the device type, from a dump.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub device_type: Option<String>,
    /// Its struct; its name is that of the section without the device's path.
    pub body: Struct,
}

/// A struct: of a section, a field or a subsection.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Struct {
    /// Its name.
    pub name: String,
    /// What it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub doc: String,
    /// When it is there, for a subsection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needed: Option<String>,
    /// The version written.
    pub version: u32,
    /// The oldest version read.
    pub minimum_version: u32,
    /// The fields, in wire order.
    pub fields: Vec<Field>,
    /// The subsections, in the order they are written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subsections: Vec<Self>,
}

/// A field of a [`Struct`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its form, where that is known.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub ty: String,
    /// Bytes of each element, where those are known and always as many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// How many elements it has.
    pub count: Count,
    /// The version it came with; 0: always there.
    #[serde(skip_serializing_if = "is_zero")]
    pub since: u32,
    /// When it is there, if that does not depend on the version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// The limit of its count or value, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// What it means.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub doc: String,
    /// The structs it is made of: of its elements, or of keys and values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub structs: Vec<Struct>,
}

/// How many elements a field has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Count {
    /// Always as many.
    Fixed(u64),
    /// As many as a value elsewhere says, or it is not known whether it is an array.
    #[default]
    Varies,
    /// [`Field::size`] is that of all elements together.
    Together,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(version: &u32) -> bool {
    *version == 0
}

impl From<&Description> for Struct {
    fn from(description: &Description) -> Self {
        let &Description { name, doc, version, minimum_version, fields, subsections } = description;
        Self {
            name: name.to_owned(),
            doc: doc.to_owned(),
            needed: None,
            version,
            minimum_version,
            fields: fields.iter().map(Field::from).collect(),
            subsections: subsections.iter().map(Self::from).collect(),
        }
    }
}

impl From<&SubsectionDescription> for Struct {
    fn from(subsection: &SubsectionDescription) -> Self {
        Self { needed: Some(subsection.doc.to_owned()), ..Self::from(subsection.description) }
    }
}

impl From<&FieldDescription> for Field {
    fn from(field: &FieldDescription) -> Self {
        let &FieldDescription { name, doc, ref ty, since, when, max } = field;
        let (element, count) = match ty {
            Type::Array { element, length: Length::Fixed(count) } => (*element, Count::Fixed(*count as u64)),
            Type::Array { element, .. } => (*element, Count::Varies),
            Type::List(_) | Type::Tree { .. } => (ty, Count::Varies),
            _ => (ty, Count::Fixed(1)),
        };
        Self {
            name: name.to_owned(),
            ty: form(ty),
            size: element.fixed_size().map(|size| size as u64),
            count,
            since,
            when: when.map(expression),
            max,
            doc: doc.to_owned(),
            structs: structs(ty),
        }
    }
}

/// An expression as it was written: the compiler sets its parts apart.
fn expression(tokens: &str) -> String {
    tokens.replace(" :: ", "::").replace("::< ", "::<").replace(" > ()", ">()")
}

/// A form in words.
fn form(ty: &Type) -> String {
    match ty {
        Type::Scalar { name, .. } => (*name).to_owned(),
        Type::Buffer { size } => format!("buffer[{size}]"),
        Type::Unused { size } => format!("unused[{size}]"),
        Type::Array { element, length } => match length {
            Length::Fixed(count) => format!("{}[{count}]", form(element)),
            Length::Prefixed(count) => format!("{} n, {}[n]", form(count), form(element)),
            Length::External => format!("{}[…]", form(element)),
        },
        Type::Struct(description) => description.name.to_owned(),
        Type::List(element) => format!("list of {}", form(element)),
        Type::Tree { key, value } => format!("tree of {}, {}", form(key), form(value)),
        Type::Presence(inner) => format!("bool, then {}", form(inner)),
        Type::Opaque { name } => format!("opaque ({name})"),
    }
}

fn structs(ty: &Type) -> Vec<Struct> {
    match ty {
        Type::Struct(description) => vec![Struct::from(*description)],
        Type::Array { element, .. } | Type::List(element) | Type::Presence(element) => structs(element),
        Type::Tree { key, value } => [structs(key), structs(value)].concat(),
        _ => Vec::new(),
    }
}

impl From<&VmDesc> for Schema {
    fn from(desc: &VmDesc) -> Self {
        let mut sections: Vec<SchemaSection> = Vec::new();
        let devices = desc.devices.iter().map(|device| &device.body);
        for body in desc.configuration.iter().chain(devices).filter(|body| !body.vmsd_name.is_empty()) {
            let section = SchemaSection { device_type: None, body: body.into() };
            if !sections.contains(&section) {
                sections.push(section);
            }
        }
        Self { source: Source::Stream, machine: None, sections }
    }
}

impl From<&StructDesc> for Struct {
    fn from(desc: &StructDesc) -> Self {
        let field = |member: vmstate::vmdesc::Member<'_>| {
            let sizes = member.entries.iter().map(|entry| entry.size.saturating_mul(entry.count()));
            let first = member.entries.first();
            Field {
                name: member.name.to_owned(),
                ty: first.map(|entry| entry.ty.clone()).unwrap_or_default(),
                size: Some(sizes.fold(0, u64::saturating_add)),
                count: Count::Together,
                structs: first.and_then(|entry| entry.nested()).map(Self::from).into_iter().collect(),
                ..Field::default()
            }
        };
        Self {
            name: desc.vmsd_name.clone(),
            version: desc.version,
            minimum_version: desc.version,
            fields: desc.members().map(field).collect(),
            subsections: desc.subsections.iter().map(Self::from).collect(),
            ..Self::default()
        }
    }
}
