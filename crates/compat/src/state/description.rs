//! The stream's description, kept true when sections change.
//!
//! QEMU reads the description and throws it away; every other reader finds the ends of sections by it.

use std::collections::HashSet;

use serde_json::Value;
use vmstate::stream::{Record, Section, Stream};
use vmstate::{Result, vmdesc};

/// Brings the description of `stream` in line with what was changed and left out since `original`.
pub(super) fn keep_up(stream: &mut Stream, original: &Stream) -> Result<()> {
    let Some(description) = &mut stream.description else { return Ok(()) };
    // What was parsed once is JSON.
    let Ok(mut json) = serde_json::from_slice::<Value>(&description.json) else { return Ok(()) };
    let mut changed = false;

    let machine = stream.configuration.as_ref().map(|configuration| configuration.len);
    if machine != original.configuration.as_ref().map(|configuration| configuration.len)
        && let Some(fields) = json.pointer_mut("/configuration/fields").and_then(Value::as_array_mut)
        && let Some(name) = fields.iter_mut().find(|field| field["name"] == "name")
    {
        name["size"] = machine.into();
        changed = true;
    }

    let kept: HashSet<u64> =
        stream.records.iter().filter_map(as_section).map(|section| section.offset).collect();
    let lost: Vec<_> = original.sections().filter(|section| !kept.contains(&section.offset)).collect();
    if let Some(devices) = json.get_mut("devices").and_then(Value::as_array_mut) {
        devices.retain(|device| {
            let is_lost = lost.iter().any(|section| is_of(device, section));
            changed |= is_lost;
            !is_lost
        });
        for section in stream.records.iter().filter_map(as_section) {
            let Some(body) = section.body() else { continue };
            let (before, now) = (section.body_bytes, body.len() as u64);
            let device = devices.iter_mut().find(|device| is_of(device, section));
            if let Some(device) = device.filter(|_| before != now) {
                resize(device, before, now);
                changed = true;
            }
        }
    }
    if changed {
        let text = json.to_string().into_bytes();
        description.desc = vmdesc::parse(&text, description.offset)?;
        description.json = text;
    }
    Ok(())
}

fn as_section(record: &Record) -> Option<&Section> {
    match record {
        Record::Section(section) => Some(section),
        Record::Command { .. } | Record::Eof { .. } => None,
    }
}

/// Whether an entry of the description is a section's.
fn is_of(device: &Value, section: &Section) -> bool {
    device["name"] == section.name && device["instance_id"] == section.instance
}

/// Gives a section's description another size: that of its first field, which is the one of a virtio
/// section, or that of the section where it has no fields of its own.
fn resize(device: &mut Value, before: u64, now: u64) {
    let change = |size: &mut Value| {
        if let Some(bytes) = size.as_u64() {
            *size = bytes.saturating_add(now).saturating_sub(before).into();
        }
    };
    if let Some(size) = device.get_mut("size") {
        change(size);
    }
    if let Some(size) = device.pointer_mut("/fields/0/size") {
        change(size);
    }
}
