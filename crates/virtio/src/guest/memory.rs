//! The memory that each device of a guest sees: RAM out of the stream, through the IOMMU where the
//! device is behind one.

use std::collections::HashMap;
use std::fmt;

use serde::{Serialize, Serializer};
use vmstate::ram::Ram;
use vmstate::source::Source;

use crate::iommu::{Iommu, IommuMemory, requester};
use crate::memory::{DeviceMemory, Layout, MemoryError, RingMemory, StreamMemory};

/// Through what a device reaches memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemoryPath {
    /// At guest-physical addresses.
    Physical,
    /// Through an IOMMU, whose section has this name.
    Iommu(String),
}

impl fmt::Display for MemoryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Physical => f.write_str("physical"),
            Self::Iommu(name) => f.write_str(name),
        }
    }
}

impl Serialize for MemoryPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What is known of a guest's memory.
pub(super) struct GuestMemory<'a> {
    physical: &'a dyn RingMemory,
    iommu: Iommu,
    iommu_section: Option<String>,
    /// The bus behind each bridge, by the bridge's path.
    secondary_buses: HashMap<String, u8>,
}

/// Memory of `ram` at the addresses of `layout`, or the reason why it cannot be read.
pub(super) fn physical<'a>(
    ram: Option<&'a Ram>,
    layout: &'a Result<Layout, MemoryError>,
    source: &'a dyn Source,
) -> Box<dyn RingMemory + 'a> {
    match (ram, layout) {
        (Some(ram), Ok(layout)) => Box::new(StreamMemory::new(ram, source, layout)),
        (Some(_), Err(error)) => Box::new(Unreadable(error.clone())),
        (None, _) => {
            Box::new(Unreadable(MemoryError::Unknown { reason: "the stream has no RAM".to_owned() }))
        }
    }
}

impl<'a> GuestMemory<'a> {
    /// What devices see of memory that is `physical` at guest-physical addresses.
    pub(super) fn new(physical: &'a dyn RingMemory) -> Self {
        Self { physical, iommu: Iommu::None, iommu_section: None, secondary_buses: HashMap::new() }
    }

    /// Puts the machine's IOMMU in front of devices that use one.
    pub(super) fn set_iommu(&mut self, section: &str, iommu: Iommu) {
        let name = section.rsplit_once('/').map_or(section, |(_, name)| name);
        self.iommu_section = Some(name.to_owned());
        self.iommu = iommu;
    }

    /// Notes the number of the bus behind a bridge.
    pub(super) fn add_bridge(&mut self, path: &str, secondary_bus: u8) {
        self.secondary_buses.insert(path.to_owned(), secondary_bus);
    }

    /// Calls `load` with the memory that the device at `path` sees.
    pub(super) fn seen_by<T>(&self, path: &str, load: impl FnOnce(&DeviceMemory<'_>) -> T) -> T {
        let physical = self.physical;
        if self.iommu == Iommu::None {
            return load(&DeviceMemory::direct(physical));
        }
        let requester = requester(path, |bridge| self.secondary_buses.get(bridge).copied());
        let translate = requester
            .ok_or_else(|| MemoryError::Unknown { reason: format!("no requester id is known for {path}") })
            .and_then(|requester| self.iommu.for_device(physical, requester));
        match translate {
            Ok(translate) => {
                let platform = IommuMemory::new(physical, translate.as_ref());
                load(&DeviceMemory::behind_iommu(physical, &platform))
            }
            Err(error) => load(&DeviceMemory::behind_iommu(physical, &Unreadable(error))),
        }
    }

    /// Through what a device reaches memory, by whether it negotiated `ACCESS_PLATFORM`.
    pub(super) fn path(&self, access_platform: bool) -> MemoryPath {
        match &self.iommu_section {
            Some(section) if access_platform => MemoryPath::Iommu(section.clone()),
            _ => MemoryPath::Physical,
        }
    }
}

/// Memory of which nothing can be read, for one reason.
pub(super) struct Unreadable(pub(super) MemoryError);

impl RingMemory for Unreadable {
    fn read(&self, _: u64, _: &mut [u8]) -> Result<(), MemoryError> {
        Err(self.0.clone())
    }
}
