//! The machine's state as sections of a stream, and back: the processor, the interrupt controller, each device, and
//! what belongs to it.

use std::time::{Duration, Instant};

use migration::guest::DeviceSection;
use tracing::trace;
use virtio::companion::{Companion, CompanionName, LoadedCompanion};
use virtio::device::DeviceType;
use virtio::live::{ResumeError, StopError};
use virtio::memory::DeviceMemory;
use virtio::ring::Ram as RingRam;
use virtio::section::{SectionName, load_section, save_section};
use vmstate::stream::{Section, Stream};
use vmstate::vmdesc::{FieldDesc, StructDesc};
use vmstate::{Described, Reader, VmState, Writer};

use crate::guest::Cpu;
use crate::machine::Machine;
use crate::pic::Pic;

/// Why a machine cannot be stopped.
#[derive(Debug, thiserror::Error)]
#[error("the device {path} cannot be stopped: {error}")]
pub struct NotStopped {
    path: String,
    #[source]
    error: StopError,
}

/// Why a machine does not take a guest's state up.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A section is missing.
    #[error("the stream has no section {name}, which this machine needs")]
    Missing {
        /// Its name.
        name: String,
    },
    /// There is a section of something that is not here.
    #[error("the stream has a section {name}, and this machine has nothing like it")]
    Unknown {
        /// Its name.
        name: String,
    },
    /// A section cannot be read.
    #[error("section {name}: {error}")]
    Section {
        /// Its name.
        name: String,
        /// What is wrong with it.
        error: vmstate::Error,
    },
    /// A device must not run as it is.
    #[error("section {name}: {error}")]
    Refused {
        /// Its name.
        name: String,
        /// Why.
        error: virtio::Refused,
    },
    /// A device does not go on here.
    #[error("section {name}: {error}")]
    Resume {
        /// Its name.
        name: String,
        /// Why.
        error: ResumeError,
    },
}

impl Machine {
    /// Stops every device, and gives the state of all: in the order in which they are to be loaded.
    ///
    /// # Errors
    /// If a device does not hand over all that it took.
    pub fn stop(&mut self) -> Result<Vec<DeviceSection>, NotStopped> {
        self.is_stopped = true;
        let mut devices = Vec::new();
        for slot in 0..self.bus.slots.len() {
            devices.extend(self.stop_slot(slot)?);
        }
        // The interrupt controller comes after all that may interrupt.
        let mut sections = vec![described("cpu", &self.cpu), described("pic", &self.bus.pic)];
        sections.extend(devices);
        Ok(sections)
    }

    fn stop_slot(&mut self, slot: usize) -> Result<Vec<DeviceSection>, NotStopped> {
        let started = Instant::now();
        let path = self.bus.path(slot);
        let Some(device) = self.bus.slots.get_mut(slot) else { return Ok(Vec::new()) };
        let name = format!("{path}/{}", device.core().device_type().section);
        trace!(target: virtio::PROCEDURE, procedure = "save", section = name.as_str());
        let state = device.stop().map_err(|error| NotStopped { path: path.clone(), error })?;
        let kind = device.core().device_type();
        let mut out = Writer::new();
        save_section(&state, &mut out);
        let mut description = StructDesc::new(kind.section, kind.version);
        description.fields.push(FieldDesc::new("virtio", "virtio", out.len() as u64));
        let mut sections = vec![DeviceSection {
            name,
            instance: 0,
            version: kind.version,
            body: out.into_bytes(),
            description,
            saved_in: started.elapsed(),
        }];
        for (address, companion) in device.core_mut().device_mut().companions() {
            sections.push(companion_section(&format!("{path}/{address}"), &companion));
        }
        // What stopping it interrupted for.
        self.bus.deliver(slot);
        Ok(sections)
    }

    /// Takes up the state of a guest; RAM must be there. Gives how long each section took, in the order of the
    /// stream.
    ///
    /// # Errors
    /// If a section is missing, makes no sense, or is of what is not here. The machine must not run then.
    pub fn load(&mut self, stream: &Stream, bytes: &[u8]) -> Result<Vec<Duration>, LoadError> {
        let mut times = Vec::new();
        let mut loaded = Vec::new();
        for section in stream.sections().filter(|section| !section.is_ram()) {
            let started = Instant::now();
            self.load_one(section, bytes)?;
            loaded.push(section.name.clone());
            times.push(started.elapsed());
        }
        for name in self.names() {
            if !loaded.contains(&name) {
                return Err(LoadError::Missing { name });
            }
        }
        self.go_on();
        Ok(times)
    }

    /// Goes on from the state in which it was stopped.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn resume(&mut self, sections: &[DeviceSection]) -> Result<(), LoadError> {
        for section in sections {
            self.load_body(&section.name, section.version, &Reader::new(&section.body, 0))?;
        }
        self.go_on();
        Ok(())
    }

    /// Every queue is kicked, and every interrupt that is due delivered: nobody knows what was notified.
    fn go_on(&mut self) {
        self.is_stopped = false;
        for slot in 0..self.bus.slots.len() {
            if let Some(device) = self.bus.slots.get_mut(slot) {
                device.core_mut().kick();
            }
            self.bus.deliver(slot);
        }
    }

    /// The sections that there must be.
    fn names(&self) -> Vec<String> {
        let devices = self.bus.slots.iter().enumerate();
        let devices = devices
            .map(|(slot, device)| format!("{}/{}", self.bus.path(slot), device.core().device_type().section));
        ["cpu", "pic"].map(str::to_owned).into_iter().chain(devices).collect()
    }

    fn load_one(&mut self, section: &Section, bytes: &[u8]) -> Result<(), LoadError> {
        let from = usize::try_from(section.body_offset).unwrap_or(usize::MAX);
        let to = usize::try_from(section.body_end()).unwrap_or(usize::MAX);
        let body = section.body().or_else(|| bytes.get(from..to)).unwrap_or_default();
        self.load_body(&section.name, section.version, &Reader::new(body, section.body_offset))
    }

    fn load_body(&mut self, name: &str, version: u32, body: &Reader<'_>) -> Result<(), LoadError> {
        trace!(target: virtio::PROCEDURE, procedure = "load", section = name);
        let unreadable = |error| LoadError::Section { name: name.to_owned(), error };
        match name {
            "cpu" => self.cpu = whole::<Cpu>(version, body).map_err(unreadable)?,
            "pic" => self.bus.pic = whole::<Pic>(version, body).map_err(unreadable)?,
            _ => match (SectionName::parse(name), CompanionName::parse(name)) {
                (Some(found), _) => self.load_device(name, found.path, found.device, version, body)?,
                (None, Some(found)) => self.load_companion(name, &found, version, body)?,
                (None, None) => return Err(LoadError::Unknown { name: name.to_owned() }),
            },
        }
        Ok(())
    }

    fn load_device(
        &mut self,
        name: &str,
        path: &str,
        kind: &DeviceType,
        version: u32,
        body: &Reader<'_>,
    ) -> Result<(), LoadError> {
        let slot = self.slot_at(path).ok_or_else(|| LoadError::Unknown { name: name.to_owned() })?;
        let memory = self.bus.ram.memory().clone();
        let Some(device) =
            self.bus.slots.get_mut(slot).filter(|it| it.core().device_type().section == kind.section)
        else {
            return Err(LoadError::Unknown { name: name.to_owned() });
        };
        let shape = device.core().shape(device.kind());
        let ram = RingRam(&memory);
        let loaded = load_section(&shape, version, &DeviceMemory::direct(&ram), body)
            .map_err(|error| LoadError::Section { name: name.to_owned(), error })?;
        let stopped = loaded.accept().map_err(|error| LoadError::Refused { name: name.to_owned(), error })?;
        device.resume(stopped).map_err(|error| LoadError::Resume { name: name.to_owned(), error })
    }

    fn load_companion(
        &mut self,
        name: &str,
        found: &CompanionName<'_>,
        version: u32,
        body: &Reader<'_>,
    ) -> Result<(), LoadError> {
        let slot = self.slot_at(found.path).ok_or_else(|| LoadError::Unknown { name: name.to_owned() })?;
        let Some(device) = self.bus.slots.get_mut(slot) else {
            return Err(LoadError::Unknown { name: name.to_owned() });
        };
        let switches = device.core().shape(device.kind()).switches;
        let LoadedCompanion { state, .. } = Companion::load(found.kind, switches, version, body)
            .map_err(|error| LoadError::Section { name: name.to_owned(), error })?;
        device
            .core_mut()
            .resume_companion(found.address.unwrap_or_default(), state)
            .map_err(|error| LoadError::Resume { name: name.to_owned(), error })
    }

    fn slot_at(&self, path: &str) -> Option<usize> {
        (0..self.bus.slots.len()).find(|&slot| self.bus.path(slot) == path)
    }
}

/// The section of a state that describes itself.
fn described<T: VmState + Described>(name: &str, state: &T) -> DeviceSection {
    let started = Instant::now();
    let mut out = Writer::new();
    VmState::<()>::save_body(state, &mut out);
    DeviceSection {
        name: name.to_owned(),
        instance: 0,
        version: T::DESCRIPTION.version,
        body: out.into_bytes(),
        description: VmState::<()>::describe_body(state),
        saved_in: started.elapsed(),
    }
}

fn companion_section(path: &str, companion: &Companion) -> DeviceSection {
    let started = Instant::now();
    let kind = companion.companion_type();
    let name = format!("{path}/{}", kind.section);
    trace!(target: virtio::PROCEDURE, procedure = "save", section = name.as_str());
    let mut out = Writer::new();
    companion.save(&mut out);
    let mut description = StructDesc::new(kind.section, kind.version);
    description.fields.push(FieldDesc::new(kind.section, "buffer", out.len() as u64));
    DeviceSection {
        name,
        instance: 0,
        version: kind.version,
        body: out.into_bytes(),
        description,
        saved_in: started.elapsed(),
    }
}

/// A state that is all of a section's body.
fn whole<T: VmState + Described>(version: u32, body: &Reader<'_>) -> vmstate::Result<T> {
    let mut input = body.clone();
    let newest = T::DESCRIPTION.version;
    if version != newest {
        return Err(input.fail(vmstate::ErrorKind::Version {
            found: version,
            minimum: newest,
            version: newest,
        }));
    }
    let state = <T as VmState>::load_body(&mut input, version, &())?;
    input.finish()?;
    Ok(state)
}
