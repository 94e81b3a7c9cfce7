//! Each section of the stream in turn: is there somebody at the destination to load it, and does it?

use virtio::companion::Companion;
use virtio::device::DeviceType;
use virtio::device::mem::MemProperties;
use virtio::guest::Content;
use virtio::section::SectionName;
use vmstate::stream::{Kind, Section};

use super::{Incoming, Reason, code, device, in_flight, layout, ram};
use crate::defect::PMEM_WITHOUT_SECTION;
use crate::profile::{Profile, SectionProfile, sections_of};

/// A section that QEMU has a loader for whether or not it writes one: with the capability
/// `dirty-bitmaps` at the source alone.
const ALWAYS_KNOWN: &str = "dirty-bitmap";

pub(super) fn check(incoming: Incoming<'_>, destination: &Profile, reasons: &mut Vec<Reason>) {
    if destination.sections.is_none() {
        let reason = Reason::open(code::SECTIONS_UNKNOWN, "sections")
            .found(incoming.stream.sections().count(), "not known");
        let remedy = "add a stream that the destination wrote right after start (-S): vmig profile";
        reasons.push(reason.remedy(remedy));
    }
    let layouts = sections_of(incoming.stream, incoming.guest);
    let whole = incoming.stream.sections().filter(|section| matches!(section.kind, Kind::Start | Kind::Full));
    for (section, profile) in whole.zip(&layouts) {
        if section.is_ram() {
            ram::check(incoming, destination, reasons);
        }
        if section.is_ram() || section.name == ALWAYS_KNOWN {
            continue;
        }
        one(incoming, section, profile, destination, reasons);
    }
    absent(incoming, destination, reasons);
}

fn one(
    incoming: Incoming<'_>,
    section: &Section,
    profile: &SectionProfile,
    destination: &Profile,
    reasons: &mut Vec<Reason>,
) {
    let local = destination.section(&section.name, section.instance);
    let device = destination.device(&section.name);
    if destination.sections.is_some() && local.is_none() {
        reasons.push(unknown(section, destination));
        return;
    }
    if destination.sections.is_none() {
        // What was only asked has virtio devices, and no others are known.
        if device.is_none() && SectionName::parse(&section.name).is_some() && !destination.devices.is_empty()
        {
            reasons.push(unknown(section, destination));
            return;
        }
    }
    if let Some(local) = local
        && section.version > local.version
    {
        let message = format!(
            "savevm: unsupported version {} for '{}' v{}",
            section.version, section.name, local.version
        );
        let reason = Reason::refused(code::SECTION_VERSION, "version").at(&section.name);
        let reason = reason.found(section.version, format!("at most {}", local.version)).says(message);
        reasons.push(reason.remedy("load it in a QEMU as new as the source's"));
        return;
    }
    if let Some(Ok(content)) = incoming.guest.content(section) {
        in_flight::check(&section.name, content, reasons);
    }
    match incoming.guest.content(section) {
        Some(Ok(Content::Device(state))) => device::check(incoming, section, state, destination, reasons),
        Some(Ok(Content::Companion(companion))) => {
            if let Companion::MemEarly(mem) = &companion.state
                && let Some(local) = memory_at(&section.name, destination)
            {
                device::memory(&section.name, mem.properties, local, reasons);
            }
            device::findings(&section.name, &companion.findings, reasons);
        }
        _ => {
            if let (Some(mine), Some(theirs)) =
                (&profile.layout, local.and_then(|local| local.layout.as_ref()))
            {
                layout::check(section, mine, theirs, incoming, destination, reasons);
            }
        }
    }
}

/// The memory device whose early section has this name.
fn memory_at(early: &str, destination: &Profile) -> Option<MemProperties> {
    let (path, _) = early.rsplit_once('/')?;
    destination.device(&format!("{path}/virtio-mem"))?.state.as_ref()?.facts.memory
}

/// Nobody has a section of this name.
fn unknown(section: &Section, destination: &Profile) -> Reason {
    let Section { name, instance, .. } = section;
    let message = format!(
        "Unknown savevm section or instance '{name}' {instance}. Make sure that your current VM setup matches your \
         saved VM setup, including any hotplugged devices"
    );
    let last = name.rsplit_once('/').map_or(name.as_str(), |(_, last)| last);
    let others = destination.sections.iter().flatten().map(|section| section.name.as_str());
    let elsewhere: Vec<_> = others
        .chain(destination.devices.iter().map(|device| device.section.as_str()))
        .filter(|other| other.rsplit_once('/').is_some_and(|(_, other)| other == last) && *other != name)
        .collect();
    let has_path = name.contains('/');
    // A section without a path also loads into the device of that name and number (old machines).
    let may_be_alias =
        !has_path && usize::try_from(*instance).is_ok_and(|instance| instance < elsewhere.len());
    let reason = if may_be_alias { Reason::open } else { Reason::refused }(code::SECTION, "section");
    let expected = match elsewhere.first() {
        Some(other) => format!("no such section; there is {other}"),
        None => "no such section".to_owned(),
    };
    let remedy = match name.rsplit_once('/') {
        Some((path, last)) => match DeviceType::of_section(last) {
            Some(device) => format!("give the destination the {} at {path}", device.title),
            None => format!("give the destination the device that writes `{last}` at {path}"),
        },
        None if name == "cpu_common" || name == "cpu" || name == "apic" => {
            "give the destination as many CPUs: -smp".to_owned()
        }
        None => format!("give the destination the device that writes `{name}` (number {instance})"),
    };
    reason.at(name).found(format!("{name}, instance {instance}"), expected).says(message).remedy(remedy)
}

/// Devices of the destination that the stream does not have, and such that no stream has.
fn absent(incoming: Incoming<'_>, destination: &Profile, reasons: &mut Vec<Reason>) {
    for device in &destination.devices {
        if incoming.stream.section(&device.section, 0).is_none() {
            let reason = Reason::warning(code::DEVICE_RESET, "section").at(&device.section);
            let reason = reason.found("not in the stream", "a device that the source has");
            reasons.push(
                reason.remedy("the device comes back reset: leave it away if the source does not have it"),
            );
        }
        let section = device.section.rsplit_once('/').map_or(device.section.as_str(), |(_, last)| last);
        if let Some(why) = DeviceType::of_section(section).and_then(|kind| kind.unmigratable) {
            let reason = Reason::refused(code::UNMIGRATABLE, "device").at(&device.section);
            let reason = reason
                .found("any stream", "one without the device")
                .says(format!("{why} '{}'", device.section));
            reasons.push(reason.remedy("start the destination without the device"));
        }
    }
    for device in &destination.without_section {
        let reason =
            Reason::warning(code::NOT_MIGRATED, "section").at(device).found("not in the stream", "its state");
        let reason = reason.remedy("unplug it at the source before migrating: the device comes back reset");
        let is_pmem = device.ends_with("/virtio-pmem");
        reasons.push(if is_pmem { reason.because_of(&PMEM_WITHOUT_SECTION) } else { reason });
    }
}
