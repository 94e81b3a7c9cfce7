//! The save procedure: one walk over core, transport and device, in the documented order.

use vmstate::{Field, VmState, Writer};

use crate::VirtioState;

/// Saves a stopped device.
///
/// Everything written before the subsections has a layout that can never grow: what is new goes into a
/// subsection of the core, which asks the transport or the device for it.
pub fn save(state: &VirtioState, out: &mut Writer) {
    let VirtioState { transport, core, device } = state;
    let transport = transport.as_dyn();

    transport.save_config(out);
    core.save_common(out);
    for (index, queue) in core.queues.iter().enumerate() {
        queue.save(out);
        transport.save_queue(index, out);
    }
    device.save_device(out);
    core.subsections.save_body(out);
}
