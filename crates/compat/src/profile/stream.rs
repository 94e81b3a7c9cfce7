//! A profile from a stream that the machine wrote before its guest ran.

use virtio::companion::Companion;
use virtio::core::VIRTIO_QUEUE_MAX;
use virtio::device::mem::MemProperties;
use virtio::guest::{Content, DeviceSection, Guest};
use virtio::shape::Switch;
use virtio::transport::TransportState;
use vmstate::stream::{Configuration, Kind, Section, Stream};

use super::device::{DeviceState, switch_names};
use super::{DeviceFacts, DeviceProfile, Layout, Profile, QemuVersion, RamBlock, SectionProfile, told};

/// Makes a profile of the machine that wrote a stream.
///
/// Of a machine whose guest has run, queue sizes and other values that a driver changes are those that it
/// set.
#[must_use]
pub fn from_stream(stream: &Stream, guest: &Guest) -> Profile {
    let configuration = stream.configuration.as_ref();
    let description = stream.description.as_ref().map(|description| &description.desc);
    let machine = configuration.map(Configuration::machine);
    let devices: Vec<_> = guest
        .devices(stream)
        .map(|(section, device)| device_profile(stream, guest, section, device))
        .collect();
    let mut qemu = QemuVersion::inferred(machine.as_deref(), description);
    qemu.forces_queue_size = devices.iter().any(has_forced_queue);
    Profile {
        machine,
        qemu,
        target_page_bits: configuration
            .and_then(|configuration| Some(configuration.target_page_bits?.target_page_bits)),
        ram: stream.ram.as_ref().map(|ram| {
            let block = |block: &vmstate::ram::Block| RamBlock {
                name: block.name.clone(),
                bytes: block.bytes,
                most: None,
            };
            ram.blocks.iter().map(block).collect()
        }),
        sections: Some(sections_of(stream, guest)),
        devices,
        ..Profile::default()
    }
}

/// The sections, each once however many parts it was sent in.
pub(crate) fn sections_of(stream: &Stream, guest: &Guest) -> Vec<SectionProfile> {
    let description = stream.description.as_ref().map(|description| &description.desc);
    let whole = stream.sections().filter(|section| matches!(section.kind, Kind::Start | Kind::Full));
    let profile = |section: &Section| {
        let described =
            description.and_then(|description| description.device(&section.name, section.instance));
        let layout = match (described, guest.content(section)) {
            (Some(device), Some(Ok(Content::Described(content)))) if !device.body.vmsd_name.is_empty() => {
                Some(Layout::new(&device.body, content))
            }
            _ => None,
        };
        SectionProfile {
            name: section.name.clone(),
            instance: section.instance,
            version: section.version,
            layout,
        }
    };
    whole.map(profile).collect()
}

/// What the early section of a memory device has.
fn early_memory(stream: &Stream, guest: &Guest, path: &str) -> Option<MemProperties> {
    let name = format!("{path}/virtio-mem-device-early");
    let section = stream.section(&name, 0)?;
    match guest.content(section)?.as_ref().ok()? {
        Content::Companion(companion) => match &companion.state {
            Companion::MemEarly(mem) => Some(mem.properties),
            Companion::ScsiDisk(_) => None,
        },
        _ => None,
    }
}

fn device_profile(
    stream: &Stream,
    guest: &Guest,
    section: &Section,
    device: &DeviceSection,
) -> DeviceProfile {
    let (section, transport) = (section.name.clone(), device.transport);
    let unread = DeviceProfile {
        section,
        transport,
        features: super::Offer::default(),
        state: None,
        bars: Vec::new(),
    };
    let (Ok(loaded), Some(shape)) = (&device.loaded, &device.shape) else { return unread };
    let core = &loaded.state.core;
    let mut switches = shape.switches;
    if core.subsections.packed_virtqueues.is_some() {
        switches = switches.with(Switch::Packed);
    }
    let facts = DeviceFacts::of(&loaded.state, early_memory(stream, guest, &device.path));
    let state = DeviceState {
        config_space: match &loaded.state.transport {
            TransportState::Pci(pci) => Some(pci.config.clone()),
            TransportState::Mmio(_) | TransportState::Ccw(_) => None,
        },
        config_len: core.config.len(),
        queues: loaded.rings.iter().map(|ring| ring.size_default).collect(),
        switches: switch_names(switches),
        subsections: core.subsection_names(),
        facts,
    };
    DeviceProfile {
        features: told::by_state(device.kind, &loaded.state, &state),
        state: Some(state),
        ..unread
    }
}

/// Whether a queue has 1,024 entries that no option gives it: those of net, blk and scsi have options.
fn has_forced_queue(device: &DeviceProfile) -> bool {
    let Some(state) = &device.state else { return false };
    let is_forced = |&size: &u32| size as usize == VIRTIO_QUEUE_MAX;
    let section = device.section.rsplit_once('/').map_or(device.section.as_str(), |(_, name)| name);
    match section {
        "virtio-blk" | "vhost-user-blk" | "virtio-scsi" | "virtio-vhost_scsi" => false,
        // The control queue, which has no option.
        "virtio-net" => state.queues.len() % 2 == 1 && state.queues.last().is_some_and(is_forced),
        _ => state.queues.first().is_some_and(is_forced),
    }
}
