//! What tells one machine from others: MAC addresses, serial numbers, names and UUIDs. Replaced on request.

use serde_json::Value;
use virtio::device::Mac;
use vmstate::types::Buffer;

use super::fields::{blank, bytes, each, strings};
use crate::state::State;

/// Fields that hold names or UUIDs, by the name of the section.
const NAMES: &[(&str, &str)] = &[
    // The machine's device tree: UUID, serial number of the host, MAC addresses.
    ("spapr", "fdt_blob"),
    // What the guest's system calls itself.
    ("s390_control_program_id", "system_name"),
    ("s390_control_program_id", "sysplex_name"),
];

/// An ATA disk's answer to IDENTIFY DEVICE, which its section has if the guest changed it.
const IDENTIFY: &str = "identify_data";
/// Serial number (words 10 to 19, text) and World Wide Name (words 108 to 111) in it: ACS-4, 7.12.7.
const ATA_SERIAL: std::ops::Range<usize> = 20..40;
const ATA_WWN: std::ops::Range<usize> = 216..224;

/// Replaces identities in all sections, and in the configuration.
pub(super) fn redact(state: &mut State) {
    if let Some(uuid) = state.configuration.as_mut().and_then(|configuration| configuration.uuid.as_mut()) {
        uuid.data = Buffer::default();
    }
    for section in &mut state.sections {
        let names = NAMES.iter().filter(|(known, _)| *known == section.name);
        names.for_each(|&(_, field)| each(&mut section.state, field, &mut blank));
        each(&mut section.state, IDENTIFY, &mut |data| bytes(data, blank_ata));
    }
    macs(state);
}

fn blank_ata(data: &mut [u8]) {
    if let Some(serial) = data.get_mut(ATA_SERIAL) {
        serial.fill(b' ');
    }
    if let Some(name) = data.get_mut(ATA_WWN) {
        name.fill(0);
    }
}

/// Replaces the addresses of virtio network devices, those in their filters, and the devices' own wherever
/// else they are: in configuration space, in the tables of user-mode networking.
fn macs(state: &mut State) {
    let mut own = Vec::new();
    let is_net = |name: &str| name.rsplit('/').next() == Some("virtio-net");
    for section in state.sections.iter_mut().filter(|section| is_net(&section.name)) {
        if let Some(Value::String(config)) = section.state.pointer("/core/config")
            && let Ok(bytes) = hex::decode(config)
            && let Some(&mac) = bytes.first_chunk()
        {
            own.push(Mac(mac));
        }
        for (field, value) in
            section.state.get_mut("device").and_then(Value::as_object_mut).into_iter().flatten()
        {
            if field == "mac" || field == "mac_table" {
                own.extend(value.as_str().and_then(|mac| mac.parse::<Mac>().ok()));
                strings(value, &mut |text| {
                    if let Ok(mac) = text.parse() {
                        *text = replaced(mac).to_string();
                    }
                });
            }
        }
    }
    own.retain(|&mac| mac != Mac([0; 6]) && mac != replaced(mac));
    let hex: Vec<_> = own.into_iter().map(|mac| (hex::encode(mac.0), hex::encode(replaced(mac).0))).collect();
    for section in &mut state.sections {
        strings(&mut section.state, &mut |text| {
            for (mac, replaced) in &hex {
                replace_bytes(text, mac, replaced);
            }
        });
    }
}

/// Replaces bytes in a buffer in hexadecimal: digits at even places.
fn replace_bytes(text: &mut String, from: &str, to: &str) {
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find(from)) {
        let start = at + found;
        if start % 2 == 0 {
            text.replace_range(start..start + from.len(), to);
            at = start + from.len();
        } else {
            at = start + 1;
        }
    }
}

/// An address with its last three bytes, which tell one device from another, set to zero.
fn replaced(Mac([a, b, c, ..]): Mac) -> Mac {
    Mac([a, b, c, 0, 0, 0])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bytes_are_replaced_and_not_digits() {
        let replace = |text: &str| {
            let mut text = text.to_owned();
            replace_bytes(&mut text, "525400", "aaaaaa");
            text
        };
        assert_eq!(replace("00525400525400"), "00aaaaaaaaaaaa");
        assert_eq!(replace("0525400000"), "0525400000");
        assert_eq!(replace("052540052540"), "052540052540");
    }

    #[test]
    fn a_disk_keeps_its_model_and_loses_its_serial_number() {
        let mut data = vec![b'x'; 512];
        data[20..40].copy_from_slice(b"QM00001             ");
        let mut state = json!({"bus": [{"ifs": [{"identify_set": 1, "identify_data": hex::encode(&data)}]}]});
        each(&mut state, IDENTIFY, &mut |data| bytes(data, blank_ata));
        let after = hex::decode(state["bus"][0]["ifs"][0]["identify_data"].as_str().unwrap()).unwrap();
        assert_eq!(&after[20..40], [b' '; 20]);
        assert_eq!((&after[216..224], after[40], after[19], after.len()), (&[0; 8][..], b'x', b'x', 512));
    }
}
