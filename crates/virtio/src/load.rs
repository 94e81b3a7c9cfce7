//! The load procedure: the save procedure's mirror, then what only the whole state allows.

use vmstate::{Reader, Result};

use crate::core::Core;
use crate::device::{DeviceState, Known};
use crate::finding::Findings;
use crate::memory::DeviceMemory;
use crate::shape::Shape;
use crate::trace::step;
use crate::transport::TransportState;
use crate::{Loaded, VirtioState};

/// Loads a device into its stopped state.
///
/// `memory` is guest RAM, which must be loaded before: a split ring's used index is only there.
///
/// # Errors
/// If the input cannot be read as such a device. What can be read but not run is a finding.
pub fn load(shape: &Shape, memory: &DeviceMemory<'_>, input: &mut Reader<'_>) -> Result<Loaded> {
    let mut findings = Findings::default();

    step!("load", "transport", "load_config");
    let mut transport = TransportState::load_config(shape.transport, input)?;
    step!("load", "core", "common device fields");
    let mut core = Core::load_common(input)?;
    step!("load", "core", "common virtqueue fields, with the transport's load_queue");
    for index in 0..core.load_queue_count(input)? {
        core.load_queue(transport.as_dyn().ring_layout(), input)?;
        transport.as_dyn_mut().load_queue(index, input)?;
    }
    step!("load", "transport", "notify guest");
    transport.as_dyn().notify_guest(&mut findings);
    step!("load", "device", "load_device");
    // Endianness and high features are not known, and cannot be asked for, yet.
    let mut device = DeviceState::load_device(core.before_subsections(*shape), input)?;
    step!("load", "core", "subsections, with the transport's load_extra_state");
    core.load_subsections(transport.kind(), input)?;

    step!("load", "core", "sanitize endianness, features, status and virtqueue indexes");
    let endianness = core.sanitize_endianness(shape, &mut findings);
    let features = core.sanitize_features(shape, &mut findings);
    core.sanitize_status(&mut findings);
    let rings = core.sanitize_indexes(
        transport.as_dyn(),
        endianness,
        features,
        memory.seen_with(features),
        &mut findings,
    );
    step!("load", "device", "post_load");
    let known = Known { core: &core, endianness, features, rings: &rings };
    device.post_load(&known, &mut findings);
    Ok(Loaded { state: VirtioState { transport, core, device }, endianness, features, rings, findings })
}
