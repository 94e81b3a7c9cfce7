//! A guest out of a stream that a real QEMU wrote: its memory, and its devices.
#![allow(dead_code, reason = "each example uses its part")]

use std::error::Error;
use std::path::Path;

use virtio::Loaded;
use virtio::companion::Companion;
use virtio::core::Endianness;
use virtio::memory::{DeviceMemory, Layout};
use virtio::ring::Ram;
use virtio::section::{SectionName, load_unknown_section};
use virtio::shape::Shape;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};
use vmstate::Reader;
use vmstate::stream::{Section, Stream};

pub(crate) type Memory = GuestMemoryMmap<()>;

/// A guest.
pub(crate) struct Recorded {
    stream: Stream,
    pub(crate) memory: Memory,
}

impl Recorded {
    /// Opens a stream, whose path is from this crate.
    pub(crate) fn open(stream: &str) -> Result<Self, Box<dyn Error>> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(stream);
        let opened = image::open(path.to_str().ok_or("a path in UTF-8")?, &mut |_| {})?;
        let source = opened.source.as_ref();
        let stream = Stream::scan(source, &mut |_| {}).stream;
        let machine = stream.configuration.as_ref().ok_or("a machine type")?.machine();
        let ram = stream.ram.as_ref().ok_or("RAM")?;

        // Guest memory, laid out as the machine type does it.
        let layout = Layout::for_ram(&machine, ram)?;
        let ranges: Vec<_> = layout
            .regions()
            .iter()
            .map(|region| Ok((GuestAddress(region.gpa), usize::try_from(region.length)?)))
            .collect::<Result<_, Box<dyn Error>>>()?;
        let memory = Memory::from_ranges(&ranges)?;
        let mut page = vec![0; usize::try_from(ram.page_size)?];
        for region in layout.regions() {
            for offset in (0..region.length).step_by(page.len()) {
                ram.read(source, region.block, region.offset + offset, &mut page)?;
                memory.write_slice(&page, GuestAddress(region.gpa + offset))?;
            }
        }
        Ok(Self { stream, memory })
    }

    /// A device: read by the load procedure.
    pub(crate) fn device(&self, name: &str) -> Result<Loaded, Box<dyn Error>> {
        let (section, body) = self.section(name)?;
        let name = SectionName::parse(&section.name).ok_or("a virtio device")?;
        let shape = Shape::unknown(name.device, name.transport, Endianness::Little);
        let guest = Ram(&self.memory);
        Ok(load_unknown_section(shape, section.version, &DeviceMemory::direct(&guest), &body)?.1)
    }

    /// What has a section of its own behind that of a device.
    pub(crate) fn companion(&self, name: &str) -> Result<Companion, Box<dyn Error>> {
        let (section, body) = self.section(name)?;
        let kind = Companion::of_section(name).ok_or("something that belongs to a device")?;
        Ok(Companion::load_unknown(kind, section.version, &body)?.1.state)
    }

    fn section(&self, name: &str) -> Result<(&Section, Reader<'_>), Box<dyn Error>> {
        let section = self.stream.section(name, 0).ok_or(format!("a section {name}"))?;
        Ok((section, Reader::new(section.body().ok_or("its state")?, section.body_offset)))
    }
}
