//! A device in the document.

use serde::Serialize;
use serde_json::Value;
use virtio::core::{Endianness, Ring};
use virtio::finding::{Finding, Severity};
use virtio::guest::DeviceSection;
use virtio::transport::{NO_VECTOR, TransportKind};
use vmstate::stream::Section;

use super::{ErrorDoc, title};

/// A virtio device.
#[derive(Debug, Serialize)]
pub struct DeviceDoc {
    /// The path of its section; empty on old mmio machines.
    pub path: String,
    /// The name of its section, without the path.
    pub name: String,
    /// Which of several of that name.
    pub instance: u32,
    /// The type, in the specification's words.
    #[serde(rename = "type")]
    pub title: &'static str,
    /// The transport it sits on.
    pub transport: TransportKind,
    /// From the start of the stream to its section.
    pub offset: u64,
    /// Of the body of its section.
    pub bytes: u64,
    /// What was read, if the section could be read to its end.
    #[serde(flatten)]
    pub loaded: Option<LoadedDoc>,
    /// What keeps the section from being read, if something does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorDoc>,
}

/// What loading made of a device.
#[derive(Debug, Serialize)]
pub struct LoadedDoc {
    /// Of rings and configuration space.
    pub endianness: Endianness,
    /// The device is marked broken, or loading marks it so.
    pub broken: bool,
    /// The device is switched off: its bus mastering is, or a failover has replaced it.
    pub disabled: bool,
    /// The status.
    pub status: StatusDoc,
    /// Interrupt status.
    pub isr: u8,
    /// The queue that the driver has selected.
    pub queue_sel: u16,
    /// The negotiated features.
    pub features: FeaturesDoc,
    /// Configuration space, in hexadecimal.
    pub config: String,
    /// Every queue the stream has.
    pub queues: Vec<QueueDoc>,
    /// Subsections of the core, in stream order.
    pub subsections: Vec<String>,
    /// The transport's own state.
    pub transport_state: Value,
    /// The device type's own state.
    pub state: Value,
    /// Through what ring memory is reached: `physical`, or the name of an IOMMU.
    pub memory: String,
    /// What keeps ring memory from being read, if something does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_unread: Option<String>,
    /// What is wrong with the device.
    pub findings: Vec<FindingDoc>,
}

/// The status byte.
#[derive(Debug, Serialize)]
pub struct StatusDoc {
    /// The byte.
    pub bits: u8,
    /// The names of its bits.
    pub names: Vec<&'static str>,
}

/// Features: the set, and the names of its bits.
#[derive(Debug, Serialize)]
pub struct FeaturesDoc {
    /// The set, in hexadecimal.
    pub guest: String,
    /// The names of its bits, lowest first.
    pub names: Vec<String>,
}

/// A virtqueue.
#[derive(Debug, Serialize)]
pub struct QueueDoc {
    /// Its number.
    pub index: usize,
    /// The queue's name in the specification.
    pub name: String,
    /// Entries of the ring.
    pub size: u32,
    /// Entries of the ring after a reset.
    pub size_default: u32,
    /// Address of the descriptors.
    pub desc: String,
    /// Address of the available ring.
    pub avail: String,
    /// Address of the used ring.
    pub used: String,
    /// The next entry that the device takes.
    pub last_avail_idx: u16,
    /// The next entry that the driver fills, if ring memory could be read; of packed rings it is not known.
    pub avail_idx: Option<u16>,
    /// The next entry that the device returns.
    pub used_idx: Option<u16>,
    /// Entries taken and not returned.
    pub inuse: Option<u32>,
    /// MSI-X vector (pci) or indicator bit (ccw).
    pub vector: Option<u16>,
    /// Wrap counters of a packed ring.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrap: Option<WrapDoc>,
}

/// The wrap counters of a packed ring.
#[derive(Debug, Serialize)]
pub struct WrapDoc {
    /// Of the available side.
    pub avail: bool,
    /// Of the used side.
    pub used: bool,
}

/// Something wrong with a device.
#[derive(Debug, Serialize)]
pub struct FindingDoc {
    /// Its stable code.
    pub code: String,
    /// What QEMU does about it.
    pub severity: Severity,
    /// What was expected, and what was found.
    pub message: String,
}

impl DeviceDoc {
    pub(super) fn new(section: &Section, device: &DeviceSection) -> Self {
        Self {
            path: device.path.clone(),
            name: device.kind.section.to_owned(),
            instance: section.instance,
            title: device.kind.title,
            transport: device.transport,
            offset: section.offset,
            bytes: section.body_bytes,
            loaded: LoadedDoc::new(device),
            error: device.loaded.as_ref().err().map(ErrorDoc::from),
        }
    }
}

impl DeviceDoc {
    /// The name of its section, with the instance if it is not the first.
    #[must_use]
    pub fn title(&self) -> String {
        let separator = if self.path.is_empty() { "" } else { "/" };
        title(&format!("{}{separator}{}", self.path, self.name), self.instance)
    }

    /// Whether `name` is the device's path, or its path and name as the stream has them.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        let section = name.strip_suffix(&self.name).and_then(|path| path.strip_suffix('/'));
        name == self.path || section == Some(&self.path)
    }
}

impl LoadedDoc {
    fn new(device: &DeviceSection) -> Option<Self> {
        let loaded = device.loaded.as_ref().ok()?;
        let core = &loaded.state.core;
        let queues = loaded.rings.len();
        Some(Self {
            endianness: loaded.endianness,
            broken: loaded.is_broken(),
            disabled: core.subsections.disabled.is_some_and(|subsection| subsection.disabled),
            status: StatusDoc { bits: core.status.0, names: core.status.names() },
            isr: core.isr,
            queue_sel: core.queue_sel,
            features: FeaturesDoc {
                guest: loaded.features.to_string(),
                names: loaded.features.names(device.kind.features),
            },
            config: hex::encode(&core.config),
            queues: loaded
                .rings
                .iter()
                .map(|ring| QueueDoc::new(ring, (device.kind.queue_name)(ring.index, queues)))
                .collect(),
            subsections: core.subsection_names(),
            transport_state: to_value(&loaded.state.transport),
            state: to_value(&loaded.state.device),
            memory: device.memory.to_string(),
            memory_unread: loaded.rings.iter().find_map(|ring| ring.unread.as_ref()).map(ToString::to_string),
            findings: loaded.findings.iter().map(FindingDoc::from).collect(),
        })
    }
}

impl QueueDoc {
    fn new(ring: &Ring, name: String) -> Self {
        let address = |address: u64| format!("{address:#x}");
        Self {
            index: ring.index,
            name,
            size: ring.size,
            size_default: ring.size_default,
            desc: address(ring.desc),
            avail: address(ring.avail),
            used: address(ring.used),
            last_avail_idx: ring.last_avail_idx,
            avail_idx: ring.avail_idx,
            used_idx: ring.used_idx,
            inuse: ring.inuse,
            vector: ring.vector.filter(|&vector| vector != NO_VECTOR),
            wrap: ring.wrap.map(|wrap| WrapDoc { avail: wrap.avail, used: wrap.used }),
        }
    }
}

impl From<&Finding> for FindingDoc {
    fn from(finding: &Finding) -> Self {
        let (code, severity) = finding.classify();
        Self { code: code.to_string(), severity, message: finding.to_string() }
    }
}

/// State is made of numbers, strings, lists and maps with string keys: it always has a JSON form.
pub(super) fn to_value(state: &impl Serialize) -> Value {
    serde_json::to_value(state).unwrap_or(Value::Null)
}
