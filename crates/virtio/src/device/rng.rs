//! Entropy device as it runs (virtio 1.3 §5.4). Its state is in core and transport alone: [`Rng`].

use std::io::Read;

use vm_memory::GuestMemory;

use super::no_state::Rng;
use super::{Device, DeviceState, DeviceType};
use crate::core::Features;
use crate::live::{Breakage, Context, InFlight, LiveDevice, Negotiated, ResumeError};
use crate::ring::Chain;

/// Most bytes that one request is given: a driver that asks for more is given less, as the specification allows.
const MOST: u64 = 64 << 10;

/// A running entropy device, and where its bytes come from.
#[derive(Debug)]
pub struct LiveRng<S> {
    source: S,
}

impl<S: Read> LiveRng<S> {
    /// A device that hands out what `source` gives.
    pub fn new(source: S) -> Self {
        Self { source }
    }
}

impl<S: Read + Send, M: GuestMemory> LiveDevice<M> for LiveRng<S> {
    fn device_type(&self) -> &'static DeviceType {
        const { &Rng::TYPE }
    }

    fn features(&self) -> Features {
        Features(0)
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![8]
    }

    fn config(&self, _: &Negotiated) -> Vec<u8> {
        Vec::new()
    }

    fn notify(&mut self, index: usize, cx: &mut Context<'_, M>) -> Result<(), Breakage> {
        let Some(mut queue) = cx.queue(index)? else { return Ok(()) };
        while let Some(chain) = queue.pop()? {
            let mut entropy = vec![0; usize::try_from(chain.writable_len().min(MOST)).unwrap_or_default()];
            // A source that has nothing gives nothing: the driver asks again.
            let given = self.source.read(&mut entropy).unwrap_or_default();
            queue.answer(chain, entropy.get(..given).unwrap_or_default())?;
        }
        queue.signal()
    }

    fn reset(&mut self) {}

    fn hand_over(&mut self) -> Vec<(usize, Chain)> {
        Vec::new()
    }

    fn state(&mut self, _: Vec<InFlight>, _: &Context<'_, M>) -> DeviceState {
        DeviceState::Rng(Rng {})
    }

    fn resume(&mut self, _: DeviceState, cx: &mut Context<'_, M>) -> Result<(), ResumeError> {
        // A request that waited for entropy is not carried, but it is still in the ring.
        cx.take_again(0);
        Ok(())
    }
}
