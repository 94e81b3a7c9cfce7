//! The save procedure: one walk over core, transport and device, in the documented order.

use vmstate::{Field, VmState, Writer};

use crate::VirtioState;
use crate::trace::step;

/// Saves a stopped device.
///
/// Everything written before the subsections has a layout that can never grow: what is new goes into a
/// subsection of the core, which asks the transport or the device for it.
pub fn save(state: &VirtioState, out: &mut Writer) {
    let VirtioState { transport, core, device } = state;
    let transport = transport.as_dyn();

    step!("save", "transport", "save_config");
    transport.save_config(out);
    step!("save", "core", "common device fields");
    core.save_common(out);
    step!("save", "core", "common virtqueue fields, with the transport's save_queue");
    for (index, queue) in core.queues.iter().enumerate() {
        queue.save(out);
        transport.save_queue(index, out);
    }
    step!("save", "device", "save_device");
    device.save_device(out);
    step!("save", "core", "subsections, with the transport's extra state");
    core.subsections.save_body(out);
}
