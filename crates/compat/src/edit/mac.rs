//! The MAC address of a network device, which stands in its own state and in configuration space.

use serde_json::Value;
use virtio::device::Mac;

/// The address in a device's own state, if it has one.
pub(super) fn of(state: &Value) -> Option<Mac> {
    state.pointer("/device/mac")?.as_str()?.parse().ok()
}

/// Where the address was changed, changes it in configuration space too, if it was there. QEMU goes by the
/// device's own, and what else reads a stream may go by the other.
pub(super) fn follow(state: &mut Value, before: Mac) {
    let Some(after) = of(state).filter(|&after| after != before) else { return };
    let Some(Value::String(config)) = state.pointer_mut("/core/config") else { return };
    if let Some(rest) = config.strip_prefix(&hex::encode(before.0)) {
        *config = hex::encode(after.0) + rest;
    }
}
