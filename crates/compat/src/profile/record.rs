//! What a waiting QEMU answered over QMP, and the profile made of it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use virtio::core::{Features, RESERVED_FEATURES};
use virtio::device::DeviceType;
use virtio::transport::TransportKind;

use super::properties::by_properties;
use super::qtree::Node;
use super::{DeviceProfile, Offer, Profile, QemuVersion, RamBlock};

/// What a QEMU answered. Other keys of such a document do not matter here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct QmpRecord {
    /// The type of the machine object: `pc-q35-10.0-machine`.
    pub machine: Option<String>,
    /// What `query-version` says.
    #[serde(alias = "qemu_version")]
    pub dest_qemu: Option<String>,
    /// The command line.
    pub cmdline: Vec<String>,
    /// `info qtree`.
    #[serde(alias = "info_qtree")]
    pub qtree: String,
    /// `info ramblock`.
    pub ramblock: String,
    /// `info network`.
    pub network: String,
    /// Properties of each device, by its path in the object tree.
    pub props: BTreeMap<String, Map<String, Value>>,
    /// `x-query-virtio`, with what `x-query-virtio-status` says of each.
    pub virtio: Vec<VirtioRecord>,
    /// Migration capabilities that are on.
    pub capabilities: Option<Vec<String>>,
    /// CPUs there can be at most.
    pub max_cpus: Option<u64>,
}

/// A virtio device.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct VirtioRecord {
    /// Its path in the object tree.
    pub path: String,
    /// QEMU's name of its type.
    pub name: String,
    /// `x-query-virtio-status`; releases before 7.2 do not have it, and 11.1.3 does not survive it.
    pub status: Option<Value>,
}

impl QmpRecord {
    /// Whether a network back-end may be outside QEMU.
    fn may_have_vhost(&self) -> bool {
        match (self.cmdline.is_empty(), self.network.is_empty()) {
            (false, _) => self.cmdline.iter().any(|arg| is_vhost(arg)),
            (true, false) => back_ends(&self.network).any(|back_end| !INSIDE.contains(&back_end)),
            (true, true) => true,
        }
    }
}

/// Types of network clients that are in QEMU itself: devices, and back-ends that vhost cannot take over.
const INSIDE: &[&str] = &["nic", "user", "socket", "stream", "dgram", "hubport", "vde", "l2tpv3"];

/// The types of the clients that `info network` lists.
fn back_ends(network: &str) -> impl Iterator<Item = &str> {
    network.lines().filter_map(|line| line.split_once("type=")?.1.split(',').next())
}

/// Makes a profile of what a QEMU answered.
#[must_use]
pub fn from_qmp_record(record: &QmpRecord) -> Profile {
    let tree = Node::parse(&record.qtree);
    let mut found = Found { record, profile: Profile::default() };
    for root in &tree {
        found.device(root, &Place::default());
    }
    let machine = record.machine.as_deref();
    Profile {
        machine: machine.map(|machine| machine.strip_suffix("-machine").unwrap_or(machine).to_owned()),
        qemu: record.dest_qemu.as_deref().map(QemuVersion::said).unwrap_or_default(),
        capabilities: record.capabilities.clone(),
        max_cpus: record.max_cpus.or_else(|| (!record.cmdline.is_empty()).then(|| max_cpus(&record.cmdline))),
        ram: (!record.ramblock.is_empty()).then(|| ram_blocks(&record.ramblock)),
        ..found.profile
    }
}

/// Where in the tree of devices a device is, as its path in a section's name needs.
#[derive(Debug, Clone, Default)]
struct Place {
    /// The path of the PCI device above, with that of the root bus before it.
    pci: Option<String>,
}

struct Found<'a> {
    record: &'a QmpRecord,
    profile: Profile,
}

impl Found<'_> {
    fn device(&mut self, node: &Node, place: &Place) {
        let mut inner = place.clone();
        if let Some(address) = node.property("addr").filter(|address| address.contains('.')) {
            let root = place.pci.as_deref().unwrap_or("0000:00");
            inner.pci = Some(format!("{root}:{address}"));
        }
        for child in &node.children {
            match section_name(&child.ty) {
                Some(name) if is_proxy(node) => self.virtio(name, node, child, &inner),
                _ => {}
            }
            self.device(child, &inner);
        }
    }

    fn virtio(&mut self, name: &str, proxy: &Node, device: &Node, place: &Place) {
        let (path, transport) = if let Some(id) = proxy.property("dev_id") {
            (format!("/{id}"), TransportKind::Ccw)
        } else if let Some(address) = &proxy.mmio {
            (format!("virtio-mmio@{address}"), TransportKind::Mmio)
        } else if let Some(path) = &place.pci {
            (path.clone(), TransportKind::Pci)
        } else {
            return;
        };
        let Some(kind) = DeviceType::of_section(name) else {
            self.profile.without_section.push(format!("{path}/{name}"));
            return;
        };
        let mut features = by_properties(name, proxy, device, self.record.may_have_vhost());
        if let Some(exact) = self.said_of(kind, proxy, device) {
            features = exact.or(features);
        }
        let (section, bars) = (format!("{path}/{name}"), proxy.bars.clone());
        self.profile.devices.push(DeviceProfile { section, transport, features, state: None, bars });
    }

    /// What QEMU said of the device; of all devices that it may be, if they have the same properties.
    fn said_of(&self, kind: &DeviceType, proxy: &Node, device: &Node) -> Option<Offer> {
        let mut answers = self.record.virtio.iter().filter(|answer| {
            self.record
                .props
                .get(answer.path.trim_end_matches("/virtio-backend"))
                .is_some_and(|properties| is_of(properties, proxy, device))
        });
        let first = said(answers.next()?.status.as_ref()?, kind)?;
        answers
            .all(|other| other.status.as_ref().and_then(|status| said(status, kind)) == Some(first))
            .then_some(first)
    }
}

/// Whether properties from the object tree are those of a device in the device tree.
fn is_of(properties: &Map<String, Value>, proxy: &Node, device: &Node) -> bool {
    let ty = properties.get("type").and_then(Value::as_str).unwrap_or_default();
    if ty != proxy.ty && ty != device.ty {
        return false;
    }
    if let (Some(number), Some(address)) =
        (properties.get("addr").and_then(Value::as_i64), proxy.property("addr"))
        && address != format!("{:02x}.{:x}", number >> 3, number & 7)
    {
        return false;
    }
    properties.iter().all(|(name, value)| {
        let there = match name.strip_prefix("virtio-backend.") {
            Some(inner) => device.property(inner),
            None if ty == device.ty => device.property(name),
            // The proxy passes on what is the device's.
            None => proxy.property(name).or_else(|| device.property(name)),
        };
        let Some(there) = there.filter(|_| name != "addr") else { return true };
        match value {
            Value::Bool(value) => there.parse() == Ok(*value) || !["true", "false"].contains(&there),
            Value::Number(value) => {
                there.parse::<i64>().ok() == value.as_i64() || there.parse::<i64>().is_err()
            }
            Value::String(value) => there == value,
            _ => true,
        }
    })
}

/// The features that QEMU says a device offers, by their names.
fn said(status: &Value, kind: &DeviceType) -> Option<Offer> {
    let host = status.get("host-features")?;
    let mut bits = 0_u128;
    for list in ["transports", "dev-features"] {
        for named in host.get(list).and_then(Value::as_array).into_iter().flatten() {
            bits |= 1_u128.checked_shl(bit(named.as_str()?, kind)?.into())?;
        }
    }
    let unnamed = host.get("unknown-dev-features").and_then(Value::as_u64).unwrap_or_default();
    let unnamed_high = host.get("unknown-dev-features2").and_then(Value::as_u64).unwrap_or_default();
    Some(Offer::exactly(Features(bits | u128::from(unnamed) | u128::from(unnamed_high) << 64)))
}

/// Names that QEMU has beside the specification's; the last is the balloon's `PAGE_REPORTING`.
const OTHER_NAMES: [(&str, u8); 3] = [
    ("IOMMU_PLATFORM", Features::ACCESS_PLATFORM),
    ("PROTOCOL_FEATURES", Features::PROTOCOL_FEATURES),
    ("REPORTING", 5),
];

/// The bit of a feature that QEMU names: `VIRTIO_NET_F_CSUM: Device handling packets …`.
fn bit(text: &str, kind: &DeviceType) -> Option<u8> {
    let name = text.split(':').next()?;
    let (_, name) = name.split_once("_F_")?;
    let known =
        kind.features.iter().chain(RESERVED_FEATURES).map(|&(bit, name)| (name, bit)).chain(OTHER_NAMES);
    known.into_iter().find(|&(known, _)| known == name).map(|(_, bit)| bit)
}

/// Whether virtio devices sit on such a device.
fn is_proxy(node: &Node) -> bool {
    node.ty.starts_with("virtio-") || node.ty.starts_with("vhost-")
}

/// The name of the section of a device of QEMU's type: that of the device, not of its proxy.
fn section_name(ty: &str) -> Option<&str> {
    let name = match ty {
        "virtio-keyboard-device"
        | "virtio-mouse-device"
        | "virtio-tablet-device"
        | "virtio-multitouch-device" => "virtio-input",
        "virtio-input-host-device" => "virtio-input-host",
        "virtio-serial-device" => "virtio-console",
        "vhost-vsock-device" => "virtio-vhost_vsock",
        "vhost-scsi" => "virtio-vhost_scsi",
        "vhost-user-scsi" => "virtio-scsi",
        "virtio-gpu-gl-device" => "virtio-gpu",
        "virtio-sound-device" | "virtio-mem" | "virtio-pmem" | "vhost-user-blk" | "vhost-user-device" => ty,
        _ => ty.strip_suffix("-device")?,
    };
    (name.starts_with("virtio-") || name.starts_with("vhost-")).then_some(name)
}

/// The blocks that `info ramblock` lists: name, page size, then offset, bytes in use, bytes at most.
fn ram_blocks(text: &str) -> Vec<RamBlock> {
    let block = |line: &str| {
        let name = line.split_whitespace().next()?;
        let mut numbers =
            line.split_whitespace().filter_map(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok());
        let (_, bytes, most) = (numbers.next()?, numbers.next()?, numbers.next()?);
        Some(RamBlock { name: name.to_owned(), bytes, most: Some(most) })
    };
    text.lines().filter_map(block).collect()
}

/// Whether an option puts a network back-end outside QEMU.
fn is_vhost(arg: &str) -> bool {
    let mut parts = arg.split(',');
    parts.any(|part| part.contains("vhost") && !["vhost=off", "vhost=no", "vhost=false"].contains(&part))
}

/// The CPUs that `-smp` allows for.
fn max_cpus(cmdline: &[String]) -> u64 {
    let mut options = cmdline
        .iter()
        .zip(cmdline.iter().skip(1))
        .filter(|(option, _)| *option == "-smp" || *option == "--smp");
    let Some((_, value)) = options.next_back() else { return 1 };
    let number = |name: &str| value.split(',').find_map(|part| part.strip_prefix(name)?.parse().ok());
    let first = value.split(',').next().and_then(|first| first.parse().ok());
    number("maxcpus=").or(first).or_else(|| number("cpus=")).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_back_end_outside_qemu_is_told_from_one_inside() {
        let record = |cmdline: &[&str], network: &str| QmpRecord {
            cmdline: cmdline.iter().map(|&arg| arg.to_owned()).collect(),
            network: network.to_owned(),
            ..QmpRecord::default()
        };
        let device = "virtio-net-pci.0: index=0,type=nic,model=virtio-net-pci,macaddr=52:54:00:12:34:56\r\n";
        let user = format!("{device} \\ n0: index=0,type=user,net=10.0.2.0,restrict=off\r\n");
        let tap = format!("{device} \\ n0: index=0,type=tap,ifname=tap0,script=,downscript=\r\n");
        assert!(record(&[], "").may_have_vhost() && record(&[], &tap).may_have_vhost());
        assert!(!record(&[], &user).may_have_vhost());
        assert!(!record(&["-netdev", "tap,id=n0,vhost=off"], &tap).may_have_vhost());
    }
}
