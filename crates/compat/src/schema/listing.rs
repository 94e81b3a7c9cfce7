//! The sections that vmig models, put together from the descriptions of their parts.
//!
//! A virtio section is not one struct: it is what the save procedure writes, and its parts are listed here in
//! that order ([`virtio::save`]).

use serde::Serialize;
use virtio::companion::{COMPANIONS, CompanionType};
use virtio::core::{Core, Queue, Subsections};
use virtio::device::unmigratable::UNMIGRATABLE;
use virtio::device::{DEVICES, Data, DeviceType};
use virtio::iommu::intel::IntelIommu;
use virtio::transport::TransportKind;
use vmstate::Described;
use vmstate::stream::Configuration;

use super::model::{Count, Field, Schema, SchemaSection, Source, Struct};

/// A section that vmig models.
#[derive(Debug, Clone, Serialize)]
pub struct Section {
    /// Its name, after the device's path.
    pub name: &'static str,
    /// The version written.
    pub version: u32,
    /// The oldest version read.
    pub minimum_version: u32,
    /// What it is the state of.
    pub title: &'static str,
    /// Why QEMU writes no such section, if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unmigratable: Option<&'static str>,
    /// What it is made of, in wire order.
    pub parts: Vec<Part>,
}

/// A part of a section.
#[derive(Debug, Clone, Serialize)]
pub struct Part {
    /// What part it is.
    pub title: &'static str,
    /// The transport it is of, if there is another in its place for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<TransportKind>,
    /// Whether every virtio section has it.
    pub shared: bool,
    /// What it looks like.
    pub body: Struct,
}

/// All sections that vmig models.
#[must_use]
pub fn sections() -> Vec<Section> {
    let configuration =
        Section::plain("machine type and what both sides must have in common", Configuration::DESCRIPTION);
    let iommu = Section::plain("Intel's IOMMU", IntelIommu::DESCRIPTION);
    let devices = DEVICES.iter().chain(UNMIGRATABLE).map(Section::from);
    std::iter::once(configuration)
        .chain(devices)
        .chain(COMPANIONS.iter().map(Section::from))
        .chain(std::iter::once(iommu))
        .collect()
}

impl Section {
    fn plain(title: &'static str, description: &'static vmstate::Description) -> Self {
        Self {
            name: description.name,
            version: description.version,
            minimum_version: description.minimum_version,
            title,
            unmigratable: None,
            parts: vec![Part::own(description)],
        }
    }
}

impl From<&CompanionType> for Section {
    fn from(kind: &CompanionType) -> Self {
        Self {
            name: kind.section,
            version: kind.version,
            minimum_version: kind.minimum_version,
            title: kind.title,
            unmigratable: None,
            parts: vec![Part::own(kind.description)],
        }
    }
}

impl From<&DeviceType> for Section {
    fn from(device: &DeviceType) -> Self {
        let &DeviceType { section: name, version, minimum_version, title, unmigratable, data, .. } = device;
        let mut this = Self { name, version, minimum_version, title, unmigratable, parts: Vec::new() };
        if unmigratable.is_none() {
            this.parts.extend(TransportKind::ALL.map(Part::transport));
            this.parts.push(Part::shared("common fields", Core::COMMON_FIELDS.into()));
            this.parts.push(Part::shared("queues", queues()));
            if let Data::Within(description) = data {
                this.parts.push(Part::own(description));
            }
            this.parts.push(Part::shared("core subsections", Subsections::DESCRIPTION.into()));
            this.parts.extend(TransportKind::ALL.into_iter().filter_map(Part::extra_state));
            if let Data::After(description) = data {
                this.parts.push(Part::own(description));
            }
        }
        this
    }
}

impl Part {
    fn own(description: &'static vmstate::Description) -> Self {
        Self { title: "data", transport: None, shared: false, body: description.into() }
    }

    fn shared(title: &'static str, body: Struct) -> Self {
        Self { title, transport: None, shared: true, body }
    }

    fn transport(kind: TransportKind) -> Self {
        Self { transport: Some(kind), ..Self::shared("transport", kind.description().config.into()) }
    }

    fn extra_state(kind: TransportKind) -> Option<Self> {
        let body = kind.description().extra_state?.into();
        Some(Self { transport: Some(kind), ..Self::shared("body of virtio/extra_state", body) })
    }
}

/// The queue records: their number, then of each the common part and that of the transport.
fn queues() -> Struct {
    let mut queue = Struct::from(Queue::DESCRIPTION);
    for kind in TransportKind::ALL {
        queue.fields.extend(kind.description().queue.iter().map(|field| {
            let when =
                field.when.map_or_else(|| kind.name().to_owned(), |when| format!("{}, {when}", kind.name()));
            Field { when: Some(when), ..Field::from(field) }
        }));
    }
    let records = Field {
        name: "queues".to_owned(),
        ty: format!("uint32 n, {}[n]", queue.name),
        count: Count::Varies,
        max: Some(virtio::core::VIRTIO_QUEUE_MAX as u64),
        doc: "The queues, up to the first that is not there.".to_owned(),
        structs: vec![queue],
        ..Field::default()
    };
    Struct { name: "virtio queues".to_owned(), fields: vec![records], ..Struct::default() }
}

impl Schema {
    /// What vmig models, in the form in which QEMU describes it: all of a virtio device's state is one field.
    #[must_use]
    pub fn vmig() -> Self {
        let sections = sections().into_iter().filter(|section| section.unmigratable.is_none());
        let sections = sections.map(|section| SchemaSection { device_type: None, body: section.into_qemu() });
        Self { source: Source::Vmig, machine: None, sections: sections.collect() }
    }
}

impl Section {
    fn into_qemu(mut self) -> Struct {
        let is_virtio = self.parts.len() > 1;
        let own = self.parts.pop().filter(|part| !part.shared).map(|part| part.body).unwrap_or_default();
        let opaque = |name: &str| Field { name: name.to_owned(), ..Field::default() };
        let (fields, subsections) = match is_virtio {
            false => (own.fields, own.subsections),
            true => {
                let after = (!own.fields.is_empty()).then(|| opaque(self.name));
                (std::iter::once(opaque("virtio")).chain(after).collect(), own.subsections)
            }
        };
        let Self { name, version, minimum_version, .. } = self;
        Struct { name: name.to_owned(), version, minimum_version, fields, subsections, ..Struct::default() }
    }
}
