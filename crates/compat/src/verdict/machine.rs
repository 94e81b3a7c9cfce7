//! The configuration section: machine type, page size, capabilities, UUID.

use super::{Incoming, Reason, code};
use crate::profile::Profile;

/// Capabilities that the two sides compare.
const COMPARED: [&str; 2] = ["mapped-ram", "x-ignore-shared"];

pub(super) fn check(incoming: Incoming<'_>, destination: &Profile, reasons: &mut Vec<Reason>) {
    if !incoming.stream.is_complete() {
        let why = incoming.stopped.map(ToString::to_string).unwrap_or_default();
        let remedy = "get the whole stream: the guest's state is not all there";
        reasons.push(
            Reason::refused(code::ENDS_EARLY, "stream")
                .found(why, "the end of the guest's state")
                .remedy(remedy),
        );
    }
    let Some(configuration) = &incoming.stream.configuration else { return };
    machine_type(&configuration.machine(), destination, reasons);
    let bits = configuration.target_page_bits.map(|bits| bits.target_page_bits);
    if let (Some(found), Some(expected)) = (bits, destination.target_page_bits)
        && found != expected
    {
        let reason = Reason::refused(code::PAGE_SIZE, "target_page_bits")
            .found(found, expected)
            .says(format!("Received TARGET_PAGE_BITS is {found} but local is {expected}"));
        reasons.push(reason.remedy("use the machine type and CPU of the source"));
    }
    for name in COMPARED {
        capability(name, configuration.has_capability(name), destination, reasons);
    }
    if configuration.uuid.is_some() {
        let reason = Reason::open(code::UUID, "uuid").found("a UUID that is to be compared", "not known");
        reasons.push(reason.remedy(
            "start the destination with the source's -uuid, or turn validate-uuid off at the source",
        ));
    }
}

/// QEMU compares as many bytes as the stream's name has.
fn machine_type(found: &str, destination: &Profile, reasons: &mut Vec<Reason>) {
    match &destination.machine {
        Some(expected) if expected.starts_with(found) => {}
        Some(expected) => reasons.push(
            Reason::refused(code::MACHINE, "machine type")
                .found(found, expected)
                .says(format!("Machine type received is '{found}' and local is '{expected}'"))
                .remedy(format!("start the destination with -machine {found}")),
        ),
        None => reasons.push(
            Reason::open(code::MACHINE, "machine type")
                .found(found, "not known")
                .remedy("record the destination's machine type"),
        ),
    }
}

fn capability(name: &str, is_on: bool, destination: &Profile, reasons: &mut Vec<Reason>) {
    let state = |on| if on { "on" } else { "off" };
    match &destination.capabilities {
        Some(on) => {
            let there = on.iter().any(|on| on == name);
            if there != is_on {
                let (there, received) = (state(there), state(is_on));
                let message = format!("Capability {name} is {there}, but received capability is {received}");
                let reason = Reason::refused(code::CAPABILITY, name).found(received, there).says(message);
                reasons.push(
                    reason.remedy(format!(
                        "turn {name} {received} at the destination: migrate-set-capabilities"
                    )),
                );
            }
        }
        None if is_on => reasons.push(
            Reason::open(code::CAPABILITY, name)
                .found("on", "not known; it is off unless it was turned on")
                .says(format!("Capability {name} is off, but received capability is on"))
                .remedy(format!(
                    "turn {name} on at the destination before it loads: migrate-set-capabilities"
                )),
        ),
        None => {}
    }
}
