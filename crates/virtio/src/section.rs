//! A device's section: whose it is by its name, and all of its body.

use vmstate::{ErrorKind, Reader, Result, Writer};

use crate::core::Endianness;
use crate::device::DeviceType;
use crate::loaded::{Loaded, VirtioState};
use crate::memory::DeviceMemory;
use crate::shape::{Shape, first_that_reads};
use crate::transport::TransportKind;

/// The name of a section of a virtio device, taken apart.
#[derive(Debug, Clone, Copy)]
pub struct SectionName<'a> {
    /// The device's path: a PCI path, `virtio-mmio@…`, `/fe.0.0001`; empty on old mmio machines.
    pub path: &'a str,
    /// The type of the device.
    pub device: &'static DeviceType,
    /// The transport, which the form of the path tells.
    pub transport: TransportKind,
}

impl<'a> SectionName<'a> {
    /// Takes a section's name apart, if it is that of a virtio device.
    #[must_use]
    pub fn parse(name: &'a str) -> Option<Self> {
        let (path, section) = name.rsplit_once('/').unwrap_or(("", name));
        let device = DeviceType::of_section(section)?;
        let transport = match path {
            path if path.starts_with('/') => TransportKind::Ccw,
            // Machines up to 2.6 have no path for mmio devices.
            path if path.is_empty() || path.starts_with("virtio-mmio@") => TransportKind::Mmio,
            _ => TransportKind::Pci,
        };
        Some(Self { path, device, transport })
    }
}

/// Loads the body of a device's section.
///
/// # Errors
/// If it cannot be read as a section of such a device, to its last byte.
pub fn load_section(
    shape: &Shape,
    version: u32,
    memory: &DeviceMemory<'_>,
    body: &Reader<'_>,
) -> Result<Loaded> {
    let device = shape.device;
    let mut input = body.clone();
    if !(device.minimum_version..=device.version).contains(&version) {
        let (minimum, newest) = (device.minimum_version, device.version);
        return Err(input.fail(ErrorKind::Version { found: version, minimum, version: newest }));
    }
    let mut loaded = crate::load(shape, memory, &mut input)?;
    let cx = loaded.state.core.before_subsections(*shape);
    loaded.state.device.load_rest(&cx, &mut input, &mut loaded.findings)?;
    input.finish()?;
    Ok(loaded)
}

/// Loads the body of a device's section without knowing the properties that change its layout: the
/// first way to read it to its end is taken.
///
/// # Errors
/// That of the way that came furthest, if there is none.
pub fn load_unknown_section(
    shape: Shape,
    version: u32,
    memory: &DeviceMemory<'_>,
    body: &Reader<'_>,
) -> Result<(Shape, Loaded)> {
    let read = |switches| load_section(&Shape { switches, ..shape }, version, memory, body);
    let (switches, loaded) = first_that_reads(shape.device.switches, read)?;
    Ok((Shape { switches, ..shape }, loaded))
}

/// Saves the body of a device's section.
pub fn save_section(state: &VirtioState, out: &mut Writer) {
    crate::save(state, out);
    state.device.save_rest(out);
}

/// The byte order of a target, by the name of its machine type: that of a legacy device on it.
#[must_use]
pub fn default_endianness(machine: &str) -> Endianness {
    const BIG: [&str; 2] = ["s390-ccw-virtio", "pseries"];
    let is_big = BIG.iter().any(|family| machine.starts_with(family));
    if is_big { Endianness::Big } else { Endianness::Little }
}
