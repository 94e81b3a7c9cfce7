//! The steps of the two procedures, told to whoever listens: events of the target `virtio::procedure`, with the
//! procedure, the layer, and the step by the name that the procedure's document has for it.

/// Tells of a step.
macro_rules! step {
    ($procedure:literal, $layer:literal, $step:literal) => {
        tracing::trace!(target: crate::PROCEDURE, procedure = $procedure, layer = $layer, step = $step)
    };
}

pub(crate) use step;
