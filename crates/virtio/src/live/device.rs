//! What a running device of one type does.

use vm_memory::GuestMemory;

use super::context::Context;
use super::error::{Breakage, ResumeError};
use crate::companion::Companion;
use crate::core::{Endianness, Features};
use crate::device::{DeviceState, DeviceType};
use crate::element::Element;
use crate::ring::Chain;
use crate::shape::Switches;

/// What driver and device have agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negotiated {
    /// The features.
    pub features: Features,
    /// The byte order of what a device and its driver tell each other.
    pub endianness: Endianness,
}

/// A request that a device had taken and not returned when it was stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFlight {
    /// The queue that it was taken from.
    pub queue: usize,
    /// Where its buffers are.
    pub element: Element,
}

/// A device of one type as it runs. The core calls it; it never calls the core, but has a [`Context`] while it works.
pub trait LiveDevice<M: GuestMemory>: Send {
    /// Facts about the type.
    fn device_type(&self) -> &'static DeviceType;

    /// The features of the type that it offers. Those of rings and transport are offered beside them.
    fn features(&self) -> Features;

    /// The largest size of each of its queues.
    fn queue_sizes(&self) -> Vec<u16>;

    /// Properties that change the layout of its state, other than those that its features tell.
    fn switches(&self) -> Switches {
        Switches::default()
    }

    /// Its configuration space.
    fn config(&self, negotiated: &Negotiated) -> Vec<u8>;

    /// The driver writes to the configuration space. What is not writable stays as it is.
    fn write_config(&mut self, offset: usize, data: &[u8], cx: &mut Context<'_, M>) {
        let _ = (offset, data, cx);
    }

    /// Takes up what the driver of a stopped device had written to the configuration space. Called before
    /// [`resume`](Self::resume).
    fn resume_config(&mut self, config: &[u8], negotiated: &Negotiated) {
        let _ = (config, negotiated);
    }

    /// The driver is set up: queues run from now on.
    ///
    /// # Errors
    /// If what the driver set up makes no sense.
    fn driver_ok(&mut self, cx: &mut Context<'_, M>) -> Result<(), Breakage> {
        let _ = cx;
        Ok(())
    }

    /// The driver has made chains of a queue available. Called only while the queue runs.
    ///
    /// # Errors
    /// If what the driver offers makes no sense.
    fn notify(&mut self, queue: usize, cx: &mut Context<'_, M>) -> Result<(), Breakage>;

    /// Does what the world outside has for the device, and some of what it has put off. Gives whether anything was
    /// done: if not, it need not be asked again at once.
    ///
    /// # Errors
    /// If what the driver offers makes no sense.
    fn poll(&mut self, cx: &mut Context<'_, M>) -> Result<bool, Breakage> {
        let _ = cx;
        Ok(false)
    }

    /// Forgets everything that a driver told it; chains that it holds are void.
    fn reset(&mut self);

    /// Hands over every chain that it holds, oldest first, each with its queue: the device is being stopped.
    fn hand_over(&mut self) -> Vec<(usize, Chain)>;

    /// Its state once it is stopped, with what was in flight, in the order in which it was handed over.
    ///
    /// With `IN_ORDER` there may be more in flight than was handed over: what waited for its turn.
    fn state(&mut self, in_flight: Vec<InFlight>, cx: &Context<'_, M>) -> DeviceState;

    /// Takes the state of a stopped device up, and what was in flight ([`Context::resume`]). Everything that was
    /// negotiated is known.
    ///
    /// # Errors
    /// If the state is of another type, or needs what is not here.
    fn resume(&mut self, state: DeviceState, cx: &mut Context<'_, M>) -> Result<(), ResumeError>;

    /// State that has sections of its own, behind the device's: the path below the device, and the state. Called
    /// after [`state`](Self::state).
    fn companions(&self) -> Vec<(String, Companion)> {
        Vec::new()
    }

    /// Takes up what came in a section of its own. Called after [`resume`](Self::resume).
    ///
    /// # Errors
    /// If there is no such companion here, or its state needs what is not here.
    fn resume_companion(
        &mut self,
        address: &str,
        companion: Companion,
        cx: &mut Context<'_, M>,
    ) -> Result<(), ResumeError> {
        let _ = (companion, cx);
        Err(ResumeError::Kind {
            found: format!("something at {address} behind the device"),
            expected: "nothing".to_owned(),
        })
    }
}
