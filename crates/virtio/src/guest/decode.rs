//! From a scanned stream to a [`Guest`].

use std::collections::HashMap;

use vmstate::ram::Ram;
use vmstate::source::Source;
use vmstate::stream::{Configuration, Section, Stream};
use vmstate::value::{StructValue, Value};
use vmstate::{Error, Reader, VmState};

use super::memory::{GuestMemory, Unreadable, physical};
use super::{Content, DeviceSection, Guest};
use crate::companion::{Companion, LoadedCompanion};
use crate::core::{Endianness, Features};
use crate::device::mem::{Mem, MemProperties};
use crate::device::{Device, DeviceState};
use crate::iommu::{self, IntelIommu, Iommu, is_iommu_section, secondary_bus};
use crate::loaded::Loaded;
use crate::memory::{DeviceMemory, Layout, MemoryError, RingMemory};
use crate::section::{SectionName, default_endianness, load_unknown_section};
use crate::shape::Shape;

impl Guest {
    /// Decodes every section of a stream; `source` is where the stream was scanned, and ring memory is
    /// read from it.
    #[must_use]
    pub fn decode(stream: &Stream, source: &dyn Source) -> Self {
        let machine = machine(stream);
        let sections = state_sections(stream);
        let layout = layout(machine.as_deref(), stream.ram.as_ref(), &sections);
        let physical = physical(stream.ram.as_ref(), &layout, source);
        let decoder = Decoder::new(stream, &sections, physical.as_ref());
        let contents = sections.iter().map(|section| (section.offset, decoder.section(section))).collect();
        drop(decoder);
        drop(physical);
        let mut guest = Self { machine, layout, contents };
        guest.check_disks(&sections);
        guest
    }

    /// Checks the requests of SCSI disks against the queues of their hosts.
    fn check_disks(&mut self, sections: &[&Section]) {
        let hosts: HashMap<String, usize> = self.contents.values().filter_map(request_queues).collect();
        for section in sections {
            let host = section.name.rsplitn(3, '/').nth(2).and_then(|path| hosts.get(path));
            if let (Some(&queues), Some(Ok(Content::Companion(companion)))) =
                (host, self.contents.get_mut(&section.offset))
                && let Companion::ScsiDisk(disk) = &companion.state
            {
                disk.check_host(queues, &mut companion.findings);
            }
        }
    }
}

/// The path of a SCSI host, and its request queues: all but control and event queue.
fn request_queues(content: &Result<Content, Error>) -> Option<(String, usize)> {
    let Ok(Content::Device(device)) = content else { return None };
    let state = &device.loaded.as_ref().ok()?.state;
    matches!(state.device, DeviceState::Scsi(_))
        .then(|| (device.path.clone(), state.core.queues.len().saturating_sub(2)))
}

/// The machine type, if the stream names it.
pub(super) fn machine(stream: &Stream) -> Option<String> {
    stream.configuration.as_ref().map(Configuration::machine)
}

/// The sections with state: RAM has no body here, and a part of something sent in several is no state by
/// itself.
pub(super) fn state_sections(stream: &Stream) -> Vec<&Section> {
    stream.sections().filter(|section| section.body().is_some()).collect()
}

/// Where RAM lies: the machine's main memory, and that of its virtio-mem devices.
pub(super) fn layout(
    machine: Option<&str>,
    ram: Option<&Ram>,
    sections: &[&Section],
) -> Result<Layout, MemoryError> {
    let (Some(machine), Some(ram)) = (machine, ram) else {
        return Err(MemoryError::Unknown { reason: "the stream names no machine type".to_owned() });
    };
    let mut layout = Layout::for_ram(machine, ram)?;
    for section in sections {
        if let (Some(memory), Some((path, _))) = (memory_device(section), section.name.rsplit_once('/')) {
            layout.add_virtio_mem(ram, path, memory.addr, memory.region_size)?;
        }
    }
    Ok(layout)
}

/// Where a memory device has its memory, which its early section says or, on older machines, its own.
fn memory_device(section: &Section) -> Option<MemProperties> {
    if let Some(Ok(LoadedCompanion { state: Companion::MemEarly(mem), .. })) = companion(section) {
        return Some(mem.properties);
    }
    let name = SectionName::parse(&section.name).filter(|name| name.device.id == Mem::TYPE.id)?;
    let shape = Shape::unknown(name.device, name.transport, Endianness::Little);
    let memory = Unreadable(MemoryError::Unknown { reason: "RAM is not laid out yet".to_owned() });
    let memory = DeviceMemory::direct(&memory);
    match load_unknown_section(shape, section.version, &memory, &body(section)).ok()?.1.state.device {
        DeviceState::Mem(mem) => mem.properties,
        _ => None,
    }
}

fn body(section: &Section) -> Reader<'_> {
    Reader::new(section.body().unwrap_or_default(), section.body_offset)
}

fn companion(section: &Section) -> Option<Result<LoadedCompanion, Error>> {
    let kind = Companion::of_section(&section.name)?;
    let loaded = Companion::load_unknown(kind, section.version, &body(section));
    Some(loaded.map(|(_, loaded)| loaded).map_err(|e| e.in_scope(section.name.clone())))
}

/// Decodes sections, given all that a section depends on outside itself.
pub(super) struct Decoder<'a> {
    stream: &'a Stream,
    endianness: Endianness,
    memory: GuestMemory<'a>,
}

impl<'a> Decoder<'a> {
    /// For the sections of a stream; `physical` is memory at guest-physical addresses.
    pub(super) fn new(stream: &'a Stream, sections: &[&Section], physical: &'a dyn RingMemory) -> Self {
        let endianness = default_endianness(&machine(stream).unwrap_or_default());
        let decoder = Self { stream, endianness, memory: GuestMemory::new(physical) };
        decoder.with_iommu(sections).with_bridges(sections)
    }

    /// Calls `look` with each device that could be read, and the memory it sees.
    pub(super) fn for_each_device(
        &self,
        sections: &[&Section],
        look: &mut dyn FnMut(&Loaded, &dyn RingMemory),
    ) {
        for section in sections {
            let Some(name) = SectionName::parse(&section.name) else { continue };
            if let Ok(loaded) = &self.device(name, section).loaded {
                self.memory.seen_by(name.path, |memory| look(loaded, memory.seen_with(loaded.features)));
            }
        }
    }

    /// Finds the machine's IOMMU, which must be known before the devices behind it are loaded.
    fn with_iommu(mut self, sections: &[&Section]) -> Self {
        for section in sections.iter().filter(|section| is_iommu_section(&section.name)) {
            let iommu = if section.name == iommu::intel::SECTION {
                let state = IntelIommu::load_body(&mut body(section), section.version, &());
                state.ok().map(|state| Iommu::Intel(Box::new(state)))
            } else {
                self.virtio_iommu(section)
            };
            let iommu = iommu.unwrap_or_else(|| Iommu::Other { section: section.name.clone() });
            self.memory.set_iommu(&section.name, iommu);
        }
        self
    }

    fn virtio_iommu(&self, section: &Section) -> Option<Iommu> {
        let name = SectionName::parse(&section.name)?;
        let device = self.device(name, section);
        match device.loaded.ok()?.state.device {
            DeviceState::Iommu(iommu) => Some(Iommu::Virtio(iommu)),
            _ => None,
        }
    }

    /// Notes the bus numbers that the guest gave to bridges: they are in the bridges' configuration space.
    fn with_bridges(mut self, sections: &[&Section]) -> Self {
        for section in sections {
            let Some((path, _)) = section.name.rsplit_once('/') else { continue };
            let Some(Ok(value)) = self.described(section) else { continue };
            if let Some(bus) = configuration_space(&value).and_then(secondary_bus) {
                self.memory.add_bridge(path, bus);
            }
        }
        self
    }

    fn section(&self, section: &Section) -> Result<Content, Error> {
        if let Some(name) = SectionName::parse(&section.name) {
            return Ok(Content::Device(Box::new(self.device(name, section))));
        }
        if let Some(companion) = companion(section) {
            return companion.map(Box::new).map(Content::Companion);
        }
        match self.described(section) {
            Some(value) => value.map(Content::Described).map_err(|e| e.in_scope(section.name.clone())),
            None => Ok(Content::Raw),
        }
    }

    fn device(&self, name: SectionName<'_>, section: &Section) -> DeviceSection {
        let shape = Shape::unknown(name.device, name.transport, self.endianness);
        let loaded = self.memory.seen_by(name.path, |memory| {
            load_unknown_section(shape, section.version, memory, &body(section))
        });
        let (shape, loaded) = match loaded {
            Ok((shape, loaded)) => (Some(shape), Ok(loaded)),
            Err(error) => (None, Err(error.in_scope(section.name.clone()))),
        };
        let access_platform =
            loaded.as_ref().is_ok_and(|loaded| loaded.features.has(Features::ACCESS_PLATFORM));
        DeviceSection {
            path: name.path.to_owned(),
            kind: name.device,
            transport: name.transport,
            loaded,
            shape,
            memory: self.memory.path(access_platform),
        }
    }

    /// A section's state by the stream's description; `None` if that has nothing on it.
    fn described(&self, section: &Section) -> Option<Result<StructValue, Error>> {
        let description = self.stream.description.as_ref()?;
        let device = description.desc.device(&section.name, section.instance)?;
        let mut input = body(section);
        let value = StructValue::decode(&mut input, &device.body);
        Some(value.and_then(|value| input.finish().map(|()| value)))
    }
}

/// The configuration space in a PCI device's section.
fn configuration_space(value: &StructValue) -> Option<&[u8]> {
    value.fields.iter().find_map(|(name, field)| match field {
        Value::Bytes { bytes, .. } if **name == *"config" => Some(bytes.as_slice()),
        Value::Struct(nested) => configuration_space(nested),
        _ => None,
    })
}
