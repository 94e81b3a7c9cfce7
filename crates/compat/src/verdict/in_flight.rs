//! Requests in flight of a device that offers `RING_PACKED`: no QEMU reads them as they are written.

use serde_json::Value;
use virtio::guest::Content;

use super::{Reason, code};
use crate::defect::MISPLACED_NDESCS;
use crate::state::content_json;

pub(super) fn check(name: &str, content: &Content, reasons: &mut Vec<Reason>) {
    let misread = content_json(content).map_or(0, |state| elements(&state));
    if misread == 0 {
        return;
    }
    let reason = Reason::refused(code::ELEMENT_ORDER, "element.ndescs").at(name);
    reasons.push(
        reason
            .found(format!("before each of {misread} elements"), "behind each")
            .says("virtio: unexpected memory split")
            .remedy(MISPLACED_NDESCS.remedy)
            .because_of(&MISPLACED_NDESCS),
    );
}

/// The elements in a state that have their number of descriptors with them.
fn elements(state: &Value) -> usize {
    match state {
        Value::Object(object) if object.contains_key("ndescs") => 1,
        Value::Object(object) => object.values().map(elements).sum(),
        Value::Array(values) => values.iter().map(elements).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn elements_of_packed_devices_are_found() {
        let element = |ndescs: bool| match ndescs {
            true => json!({"index": 0, "ndescs": 1, "out_sg": [], "in_sg": []}),
            false => json!({"index": 0, "out_sg": [], "in_sg": []}),
        };
        let state = |ndescs| json!({"device": {"requests": [{"element": element(ndescs)}, {"element": element(ndescs)}]}});
        assert_eq!((elements(&state(true)), elements(&state(false))), (2, 0));
    }
}
