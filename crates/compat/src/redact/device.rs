//! Guest data in the state of devices.

use serde_json::Value;
use virtio::device::Mac;

use super::Options;

/// Blanks guest data in the state of a section.
pub(super) fn redact(section: &str, state: &mut Value, options: Options) {
    let Some(device) = section.rsplit('/').next() else { return };
    match device {
        "virtio-gpu" => blank_pixels(state),
        "virtio-net" if options.mac => replace_macs(state),
        _ => {}
    }
}

fn blank_pixels(state: &mut Value) {
    let resources = state.pointer_mut("/device/resources").and_then(Value::as_array_mut);
    for pixels in resources.into_iter().flatten().filter_map(|resource| resource.get_mut("pixels")) {
        if let Value::String(hex) = pixels {
            *hex = "0".repeat(hex.len());
        }
    }
}

/// Replaces the device's address, in its state, its configuration space and its filter; and in the filter
/// the end of those multicast addresses that are made from a unicast one.
fn replace_macs(state: &mut Value) {
    let mut addresses = Vec::new();
    for (field, value) in state.get_mut("device").and_then(Value::as_object_mut).into_iter().flatten() {
        match (field.as_str(), value) {
            ("mac", mac) => addresses.push(mac),
            ("mac_table", Value::Array(table)) => addresses.extend(table),
            _ => {}
        }
    }
    for address in addresses {
        if let Some(mac) = address.as_str().and_then(|text| text.parse().ok()) {
            *address = replaced(mac).to_string().into();
        }
    }
    if let Some(Value::String(config)) = state.pointer_mut("/core/config")
        && let Ok(mut bytes) = hex::decode(&*config)
        && let Some(mac) = bytes.first_chunk_mut::<6>()
    {
        *mac = replaced(Mac(*mac)).0;
        *config = hex::encode(bytes);
    }
}

/// An address with its last three bytes, which tell one device from another, set to zero.
fn replaced(Mac([a, b, c, ..]): Mac) -> Mac {
    Mac([a, b, c, 0, 0, 0])
}
