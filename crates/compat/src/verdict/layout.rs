//! A described section, by what the descriptions of the two sides say of it.

use vmstate::stream::{Section, Stream};

use super::known::{self, Sides};
use super::{Incoming, Reason, code, pci};
use crate::profile::{Check, Layout, Profile};

pub(super) fn check(
    section: &Section,
    mine: &Layout,
    theirs: &Layout,
    incoming: Incoming<'_>,
    destination: &Profile,
    reasons: &mut Vec<Reason>,
) {
    let name = section.name.as_str();
    if let (Some(mine), Some(theirs)) = (&mine.config_space, &theirs.config_space) {
        pci::check(name, &mine.0, &theirs.0, &[], reasons);
    }
    compared(name, mine, theirs, reasons);
    shape(name, mine, theirs, reasons);
    subsections(name, mine, theirs, Sides::new(incoming, destination), reasons);
    if let Some(cpus) = mine.hotplug_cpus {
        reasons.extend(hotplug(name, cpus, theirs, incoming.stream, destination));
    }
}

/// Fields that the destination compares with its own.
fn compared(name: &str, mine: &Layout, theirs: &Layout, reasons: &mut Vec<Reason>) {
    for local in &theirs.checked {
        let Some(received) = mine.checked.iter().find(|field| field.path == local.path) else { continue };
        let (found, expected) = (received.value, local.value);
        let message = match local.check {
            Check::Equal if found != expected => format!("{expected:x} != {found:x}"),
            Check::AtMost if found > expected => {
                format!("Invalid value {found} expecting positive value <= {expected}")
            }
            Check::Equal | Check::AtMost => continue,
        };
        let reason = Reason::refused(code::COMPARED, &local.path).at(name).found(found, expected);
        reasons.push(
            reason.says(message).remedy(format!("set up the device as at the source ({})", local.field)),
        );
    }
}

/// Arrays that are as long as the loader has them, and fields that one side does not have.
fn shape(name: &str, mine: &Layout, theirs: &Layout, reasons: &mut Vec<Reason>) {
    for array in &mine.arrays {
        let Some(local) = theirs.array(&array.path).filter(|local| local.count != array.count) else {
            continue;
        };
        if array.is_counted_as(local) {
            continue;
        }
        let reason = Reason::refused(code::LAYOUT, &array.path).at(name);
        let reason = reason.found(format!("{} elements", array.count), format!("{} elements", local.count));
        let reason = reason.says(format!("Missing section footer for {name}"));
        reasons
            .push(reason.remedy(
                "set up the device as at the source: the destination reads as many as it has itself",
            ));
    }
    let (mut sent, mut read) = (mine.bytes, theirs.bytes);
    for buffer in &mine.buffers {
        if let Some(local) = theirs.buffers.iter().find(|local| local.path == buffer.path)
            && buffer.is_counted_as(local)
        {
            sent = sent.saturating_sub(buffer.count);
            read = read.saturating_sub(local.count);
        }
    }
    if sent != read {
        let bytes = |bytes: u64| format!("{bytes} bytes of fields");
        let reason = Reason::open(code::LAYOUT_UNKNOWN, "fields").at(name).found(bytes(sent), bytes(read));
        reasons.push(reason.remedy("compare the two descriptions: vmig schema --against"));
    }
}

fn subsections(name: &str, mine: &Layout, theirs: &Layout, sides: Sides<'_>, reasons: &mut Vec<Reason>) {
    for subsection in &mine.subsections {
        if let Some(local) = theirs.subsections.iter().find(|local| local.name == subsection.name) {
            if subsection.version > local.version {
                let (found, newest) = (subsection.version, local.version);
                let message = format!(
                    "{}: incoming version_id {found} is too new for local version_id {newest}",
                    subsection.name
                );
                let reason = Reason::refused(code::SUBSECTION, &subsection.name).at(name);
                let reason =
                    reason.found(format!("version {found}"), format!("at most {newest}")).says(message);
                reasons.push(reason.remedy("load it in a QEMU as new as the source's"));
            }
            continue;
        }
        reasons.extend(unlisted(name, &subsection.name, sides));
    }
}

/// A subsection that the destination did not write. Most are written only when they are needed, so that
/// it may know it all the same.
pub(super) fn unlisted(name: &str, subsection: &str, sides: Sides<'_>) -> Option<Reason> {
    let version = sides.destination.qemu.to_string();
    match known::knows(sides, subsection) {
        Some(true) => None,
        Some(false) => {
            let reason = Reason::refused(code::SUBSECTION, subsection)
                .at(name)
                .found("there", format!("not known to {version}"));
            let reason =
                reason.says(format!("error while loading state for instance 0x0 of device '{name}'"));
            Some(reason.remedy("load it in a QEMU as new as the source's, or turn off at the source what needs the subsection"))
        }
        None => {
            let reason = Reason::open(code::SUBSECTION_UNKNOWN, subsection).at(name);
            let reason = reason.found("there", format!("not known whether {version} reads it"));
            Some(reason.remedy(
                "a destination as new as the source's QEMU reads it; record its version: vmig profile",
            ))
        }
    }
}

/// ACPI CPU hotplug has a record for each CPU there can be, and the loader reads as many as it has.
fn hotplug(
    name: &str,
    found: u64,
    theirs: &Layout,
    stream: &Stream,
    destination: &Profile,
) -> Option<Reason> {
    let expected = theirs.hotplug_cpus.or(destination.max_cpus);
    let (present, sent) = (destination.cpus()?, cpus(stream));
    let reason = match expected {
        Some(expected) if expected == found => return None,
        Some(expected) => Reason::refused(code::CPUS, "cpuhp_state.devs").found(found, expected),
        None if present > found => {
            Reason::refused(code::CPUS, "cpuhp_state.devs").found(found, format!("at least {present}"))
        }
        None if present == found || found > sent && sent == present => {
            return may_have_more(name, found, sent);
        }
        None => Reason::open(code::CPUS, "cpuhp_state.devs").found(found, "not known"),
    };
    let reason = reason.at(name).says(format!("Missing section footer for {name}"));
    Some(
        reason.remedy(format!(
            "give the destination as many CPUs as the source can have: -smp …,maxcpus={found}"
        )),
    )
}

/// As many are there as the source has; whether more can be plugged, a stream does not tell. It is the
/// same if the source has no room for more either.
fn may_have_more(name: &str, found: u64, sent: u64) -> Option<Reason> {
    (found > sent).then(|| {
        let reason = Reason::open(code::CPUS, "cpuhp_state.devs").at(name).found(found, "not known");
        reason.remedy(format!("make sure that the destination has maxcpus={found}"))
    })
}

fn cpus(stream: &Stream) -> u64 {
    stream.sections().filter(|section| section.name == "cpu_common").count() as u64
}
