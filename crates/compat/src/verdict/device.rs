//! A virtio device: its section goes through the load procedure as that of the destination's device, and
//! what the device compares with its own is compared.

use virtio::core::Core;
use virtio::device::DeviceState as State;
use virtio::device::mem::MemProperties;
use virtio::finding::Findings;
use virtio::guest::DeviceSection;
use virtio::memory::{DeviceMemory, MemoryError, RingMemory};
use virtio::section::load_section;
use virtio::shape::{Switch, Switches};
use virtio::transport::{ExtraState, TransportState};
use virtio::{Finding, Loaded, Severity, Shape};
use vmstate::stream::Section;
use vmstate::{Error, Reader};

use super::known::Sides;
use super::layout::unlisted;
use super::{Incoming, Reason, code, features, pci, queues};
use crate::defect::{self, MISSPELT_PAGE_POISON};
use crate::profile::{DeviceFacts, DeviceProfile, DeviceState, Profile};

pub(super) fn check(
    incoming: Incoming<'_>,
    section: &Section,
    device: &DeviceSection,
    destination: &Profile,
    reasons: &mut Vec<Reason>,
) {
    let name = section.name.as_str();
    let (loaded, shape) = match (&device.loaded, &device.shape) {
        (Ok(loaded), Some(shape)) => (loaded, shape),
        (Err(error), _) => return reasons.push(unread(name, error)),
        (Ok(_), None) => return,
    };
    let Some(profile) = destination.device(name) else { return };
    let facts = DeviceFacts::of(&loaded.state, None);
    if let Some(local) = &profile.state {
        transport(name, loaded, profile, local, reasons);
        queues::check(name, device.kind, &loaded.rings, &local.queues, &destination.qemu, reasons);
        let before = reasons.len();
        values(name, &facts, &local.facts, reasons);
        if let (Some(found), Some(local)) = (facts.memory, local.facts.memory) {
            memory(name, found, local, reasons);
        }
        requests(name, loaded, local, reasons);
        // What follows from a value that was named need not be said again.
        if reasons.len() == before {
            reasons.extend(layout(section, device, shape, local));
        }
    }
    for subsection in subsections(&loaded.state.core) {
        let is_written = profile.state.as_ref().is_some_and(|state| state.writes(&subsection));
        if !is_written && RECENT.contains(&subsection.as_str()) {
            reasons.extend(unlisted(name, &subsection, Sides::new(incoming, destination)));
        }
    }
    features::check(name, device.kind, loaded.features, profile.features, &destination.qemu, reasons);
    findings(name, &loaded.findings, reasons);
}

/// Subsections that not every release knows.
const RECENT: [&str; 2] = ["virtio/128bit_features", "virtio_pci/modern_state/features128"];

/// The core's subsections, and that of PCI's extra state that is recent.
fn subsections(core: &Core) -> Vec<String> {
    let mut names = core.subsection_names();
    if let Some(extra) = &core.subsections.extra_state
        && let ExtraState::Pci(pci) = &extra.extra_state
        && pci.modern_state.as_ref().is_some_and(|modern| modern.features128.is_some())
    {
        names.push("virtio_pci/modern_state/features128".to_owned());
    }
    names
}

fn unread(name: &str, error: &Error) -> Reason {
    let reason =
        Reason::open(code::DEVICE_UNREAD, "section").at(name).found(error, "a section that can be read");
    reason.remedy("look at it with vmig inspect; QEMU may be able to read what vmig cannot")
}

fn transport(
    name: &str,
    loaded: &Loaded,
    profile: &DeviceProfile,
    local: &DeviceState,
    reasons: &mut Vec<Reason>,
) {
    if let (TransportState::Pci(pci), Some(image)) = (&loaded.state.transport, &local.config_space) {
        pci::check(name, pci.config.as_bytes(), image.as_bytes(), &profile.bars, reasons);
    }
}

/// Values that must fit those of the destination's device.
fn values(name: &str, found: &DeviceFacts, local: &DeviceFacts, reasons: &mut Vec<Reason>) {
    let mut differ = |field: &str, found: String, expected: String, message: Option<String>, remedy: &str| {
        let mut reason =
            Reason::refused(code::DEVICE_VALUE, field).at(name).found(found, expected).remedy(remedy);
        reason.qemu_message = message;
        reasons.push(reason);
    };
    if let (Some(found), Some(local)) = (found.ccw, local.ccw)
        && found != local
    {
        let text = |(cssid, ssid, devno): (u8, u8, u16)| format!("{cssid:x}.{ssid:x}.{devno:04x}");
        differ(
            "devno",
            text(found),
            text(local),
            Some(format!("{:x} != {:x}", local.2, found.2)),
            "set the device's devno as at the source",
        );
    }
    if let (Some(found), Some(local)) = (found.max_queue_pairs, local.max_queue_pairs)
        && found != local
    {
        let message = (found > 1 && local > 1).then(|| format!("{local:x} != {found:x}"));
        let remedy = format!(
            "give the destination's network back-end queues={found}, and the device mq={}",
            if found > 1 { "on" } else { "off" }
        );
        differ("max_queue_pairs", found.to_string(), local.to_string(), message, &remedy);
    }
    if (found.has_vnet_hdr, local.has_vnet_hdr) == (Some(true), Some(false)) {
        let message = "virtio-net: saved image requires vnet_hdr=on".to_owned();
        differ(
            "has_vnet_hdr",
            "on".into(),
            "off".into(),
            Some(message),
            "use a network back-end with vnet_hdr=on",
        );
    }
    if (found.has_ufo, local.has_ufo) == (Some(true), Some(false)) {
        let message = "virtio-net: saved image requires TUN_F_UFO support".to_owned();
        differ(
            "has_ufo",
            "on".into(),
            "off".into(),
            Some(message),
            "use a network back-end that takes UDP fragmentation offload",
        );
    }
    if let (Some(found), Some(local)) = (found.max_outputs, local.max_outputs)
        && found != local
    {
        let remedy = format!("set max_outputs={found} on the destination's device");
        differ(
            "max_outputs",
            found.to_string(),
            local.to_string(),
            Some(format!("{local:x} != {found:x}")),
            &remedy,
        );
    }
    if let (Some(found), Some(local)) = (&found.ports_map, &local.ports_map)
        && found != local
    {
        let remedy = format!(
            "give the destination's device ports {} (nr=), and max_ports as at the source",
            ports(found)
        );
        let message = "Failed to load virtio-console:virtio".to_owned();
        differ("ports_map", ports(found), ports(local), Some(message), &remedy);
    }
}

/// Properties of a memory device; its early section has them, where there is one.
pub(super) fn memory(name: &str, found: MemProperties, local: MemProperties, reasons: &mut Vec<Reason>) {
    for (field, found, local) in [
        ("memaddr", found.addr, local.addr),
        ("memdev' size", found.region_size, local.region_size),
        ("block-size", found.block_size, local.block_size),
        ("node", found.node.into(), local.node.into()),
    ] {
        if found != local {
            let message = match field.strip_suffix("' size") {
                Some(field) => format!("Property '{field}' size changed from {found:#x} to {local:#x}"),
                None if field == "node" => format!("Property '{field}' changed from {found} to {local}"),
                None => format!("Property '{field}' changed from {found:#x} to {local:#x}"),
            };
            let field = field.replace('\'', "");
            // Its default is the host's huge page size, which a machine may find otherwise when it starts
            // again: a recorded load passed although the two differed.
            let make = if field == "block-size" { Reason::open } else { Reason::refused };
            let reason =
                make(code::DEVICE_VALUE, &field).at(name).found(format!("{found:#x}"), format!("{local:#x}"));
            let remedy = format!("set {field} to {found:#x} on the destination's device");
            reasons.push(reason.says(message).remedy(remedy));
        }
    }
}

/// The numbers of the ports in a map.
fn ports(map: &[u32]) -> String {
    let words = map.iter().enumerate();
    let ports = words.flat_map(|(word, bits)| {
        (0..32).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| word * 32 + bit)
    });
    let ports: Vec<_> = ports.map(|port| port.to_string()).collect();
    format!("{} of {}", ports.join(", "), map.len() * 32)
}

/// Block requests in flight say which queue they are of, if the device has several.
fn requests(name: &str, loaded: &Loaded, local: &DeviceState, reasons: &mut Vec<Reason>) {
    let State::Blk(blk) = &loaded.state.device else { return };
    if blk.requests.is_empty() {
        return;
    }
    let (found, queues) = (loaded.rings.len(), local.queues.len());
    let highest = blk.requests.iter().filter_map(|request| request.queue).max();
    if (found > 1) != (queues > 1) {
        let reason = Reason::refused(code::DEVICE_LAYOUT, "requests").at(name);
        let reason = reason.found(
            format!("requests of a device with {found} queues"),
            format!("those of one with {queues}"),
        );
        reasons.push(reason.remedy(format!("set num-queues={found} on the destination's device")));
    } else if let Some(queue) = highest.filter(|&queue| queue as usize >= queues) {
        let reason = Reason::refused(code::DEVICE_VALUE, "requests.queue").at(name);
        let reason = reason.found(queue, format!("less than {queues}"));
        let reason = reason.says(format!("Invalid virtqueue index in request list: {queue:#x}"));
        reasons.push(reason.remedy(format!("set num-queues={found} on the destination's device")));
    }
}

/// Loads the section as the destination's device would.
fn layout(section: &Section, device: &DeviceSection, shape: &Shape, local: &DeviceState) -> Option<Reason> {
    let mut switches = Switches::default();
    for &switch in device.kind.switches {
        // Byte order is the host's: both sides have the same.
        let is_on = match switch {
            Switch::BigEndianHost => shape.switches.has(switch),
            switch => local.has(switch),
        };
        if is_on {
            switches = switches.with(switch);
        }
    }
    let shape = Shape { switches, ..*shape };
    let body = Reader::new(section.body().unwrap_or_default(), section.body_offset);
    let error = load_section(&shape, section.version, &DeviceMemory::direct(&NoMemory), &body).err()?;
    let reason = Reason::refused(code::DEVICE_LAYOUT, error.path()).at(&section.name);
    let reason = reason.found(
        &error,
        format!(
            "a device with {}",
            if local.switches.is_empty() {
                "none of its switches on".to_owned()
            } else {
                local.switches.join(", ")
            }
        ),
    );
    let reason =
        reason.says(format!("error while loading state for instance 0x0 of device '{}'", section.name));
    Some(reason.remedy(
        "give the destination's device the source's options, or start it with the source's machine type",
    ))
}

/// Ring memory was looked at when the stream was decoded.
struct NoMemory;

impl RingMemory for NoMemory {
    fn read(&self, _: u64, _: &mut [u8]) -> Result<(), MemoryError> {
        Err(MemoryError::Unknown { reason: "not asked for".to_owned() })
    }
}

/// What the load procedure found, which is so at any destination.
pub(super) fn findings(name: &str, findings: &Findings, reasons: &mut Vec<Reason>) {
    for finding in findings {
        let make = match finding.severity() {
            Severity::FailsLoad => Reason::refused,
            Severity::BreaksDevice => Reason::warning,
            Severity::Warning => continue,
        };
        let code = finding.code();
        let mut reason = make(code, "state").at(name).found(finding, "a state that can run");
        reason.qemu_message = message(name, finding);
        reasons.push(match defect::behind(code).next() {
            Some(defect) => reason.remedy(defect.remedy).because_of(defect),
            None => reason.remedy("the stream itself is wrong: save the guest again"),
        });
    }
}

/// What QEMU says where the load procedure stops.
fn message(name: &str, finding: &Finding) -> Option<String> {
    match finding {
        Finding::IndexWithoutRing { queue, last_avail_idx } => {
            Some(format!("VQ {queue} address 0x0 inconsistent with Host index {last_avail_idx:#x}"))
        }
        Finding::UsedIndex { queue, size, last_avail_idx, used_idx } => Some(format!(
            "VQ {queue} size {size:#x} < last_avail_idx {last_avail_idx:#x} - used_idx {used_idx:#x}"
        )),
        Finding::Device(found) if MISSPELT_PAGE_POISON.codes.contains(&found.code) => {
            Some(format!("Missing section footer for {name}"))
        }
        _ => None,
    }
}
