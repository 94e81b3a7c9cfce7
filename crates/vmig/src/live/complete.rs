//! `--complete-io`: what a guest's block devices still had to do is done while the guest is held.

use std::collections::HashSet;
use std::path::PathBuf;
use std::str::FromStr;

use compat::edit;
use compat::state::State;
use machine::HeldRam;
use migration::Cause;
use migration::event::{Event, Observer};
use virtio::device::blk::{self, Served};
use virtio::guest::{DeviceSection, Guest, MemoryPath};
use virtio::loaded::VirtioState;
use vmstate::source::FileSource;
use vmstate::stream::{Section, Stream};

use super::disk_image::DiskImage;
use crate::verb::Failure;

/// A block device, and the image of its disk: `NAME=FILE`.
#[derive(Debug, Clone)]
pub(crate) struct CompleteIo {
    device: String,
    image: PathBuf,
}

impl FromStr for CompleteIo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((device, image)) if !device.is_empty() && !image.is_empty() => {
                Ok(Self { device: device.to_owned(), image: image.into() })
            }
            _ => Err("expected NAME=FILE: blk0=disk.img, 0000:00:03.0=disk.img".to_owned()),
        }
    }
}

/// The disks that requests are served from.
#[derive(Debug, Default)]
pub(crate) struct Disks(Vec<(String, DiskImage)>);

impl Disks {
    /// Opens them all, before any guest comes.
    pub(crate) fn open(given: &[CompleteIo]) -> Result<Self, Failure> {
        let open = |disk: &CompleteIo| Ok((disk.device.clone(), DiskImage::open(&disk.image)?));
        given.iter().map(open).collect::<Result<_, Failure>>().map(Self)
    }

    /// Serves what the devices had in flight and what their drivers have made available, in the guest's RAM where it
    /// is held; `None` if there are no disks.
    pub(crate) fn finish(
        &self,
        stream: &Stream,
        held: &FileSource,
        observer: &dyn Observer,
    ) -> Result<Option<Stream>, Cause> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let guest = Guest::decode(stream, held);
        let (Some(ram), Ok(layout)) = (&stream.ram, &guest.layout) else {
            let why = guest.layout.as_ref().err().map(ToString::to_string).unwrap_or_default();
            return Err(refused("--complete-io", format!("where the guest's RAM lies is not known: {why}")));
        };
        let file = held.file().try_clone().map_err(Cause::Keep)?;
        let memory = HeldRam::map(layout, ram, file).map_err(|error| refused("--complete-io", error))?;
        let mut state = State::new(stream, &guest);
        let mut done = HashSet::new();
        for (name, image) in &self.0 {
            let (section, device) = find(name, stream, &guest)?;
            if !done.insert(section.offset) {
                return Err(refused(name, "the device is named twice"));
            }
            let (virtio, served) =
                serve(device, image, &memory).map_err(|why| refused(&section.name, why))?;
            if let Some(section) = state.section_mut(&section.name, section.instance) {
                section.state = serde_json::to_value(&virtio).map_err(|error| refused(name, error))?;
            }
            let Served { queues, again, left, .. } = served;
            observer.event(Event::Served { section: section.name.clone(), queues, again, left });
        }
        memory.keep().map_err(Cause::Keep)?;
        let applied = state.apply(stream);
        let mut finished = applied.map_err(|error| refused("--complete-io", error))?;
        // Pages that were zero may be there now.
        finished.ram = Stream::scan(held, &mut |_| {}).stream.ram;
        let checked = edit::check(&state, &finished, stream, &guest, held);
        checked.map_err(|error| refused("--complete-io", error))?;
        Ok(Some(finished))
    }
}

/// Serves what one device has.
fn serve(
    device: &DeviceSection,
    image: &DiskImage,
    memory: &HeldRam,
) -> Result<(VirtioState, Served), String> {
    if let MemoryPath::Iommu(iommu) = &device.memory {
        return Err(format!("it is behind {iommu}, through which requests are not served here"));
    }
    let loaded = device.loaded.as_ref().map_err(ToString::to_string)?.clone();
    let shape = device.shape.ok_or("its layout is not known")?;
    let failed = |error: std::io::Error| format!("{}: {error}", image.path().display());
    let locked = image.lock().map_err(failed)?;
    let disk = locked.disk().map_err(failed)?;
    let finished = blk::finish(loaded, shape, Box::new(disk), memory.memory().clone());
    let finished = finished.map_err(|error| format!("{}: {error}", image.path().display()))?;
    locked.sync().map_err(failed)?;
    Ok(finished)
}

/// The device of a name: its path, its section, or `blk` with its number, from 0, among the block devices in the
/// order of the stream.
fn find<'a>(
    name: &str,
    stream: &'a Stream,
    guest: &'a Guest,
) -> Result<(&'a Section, &'a DeviceSection), Cause> {
    let blocks = guest.devices(stream).filter(|(_, device)| device.kind.section == "virtio-blk");
    let numbered = blocks.enumerate().map(|(number, found)| (format!("blk{number}"), found));
    let mut known = Vec::new();
    for (number, (section, device)) in numbered {
        if [number.as_str(), &device.path, &section.name].contains(&name) {
            return Ok((section, device));
        }
        known.push(format!("{number} ({})", device.path));
    }
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Err(refused(name, format!("no such block device; there: {known}")))
}

fn refused(what: &str, why: impl std::fmt::Display) -> Cause {
    Cause::Refused(format!("{what}: {why}"))
}
