//! Requests stand in line.
//!
//! Those that move blocks do: they are served when the driver notifies or when the device is polled, and carried if they
//! are not served when it stops. What a disk answers itself is answered at once, as QEMU does it: of what QEMU calls
//! emulated not everything in flight can be loaded by every QEMU.

use std::collections::VecDeque;

use vm_memory::GuestMemory;

use super::command::Command;
use super::live::LiveScsi;
use super::request::{Outcome, Request};
use super::sense::Sense;
use crate::live::{Breakage, Context};

impl LiveScsi {
    /// Takes all that the driver offers in a request queue.
    pub(super) fn take<M: GuestMemory>(
        &mut self,
        index: usize,
        cx: &mut Context<'_, M>,
    ) -> Result<(), Breakage> {
        let mut chains = Vec::new();
        if let Some(mut queue) = cx.queue(index)? {
            while let Some(chain) = queue.pop()? {
                chains.push(chain);
            }
        }
        for chain in chains {
            let request = Request::of(index, chain, cx.memory, &cx.negotiated, self.sizes)
                .map_err(|message| Breakage::Request { queue: index, message })?;
            let command = Command::of(request.header.cdb);
            if let Some(sense) = self.attention(&request, &command) {
                self.finish(request, Outcome::check(sense), cx)?;
            } else if self.must_wait(&request, &command) {
                self.waiting.push_back(request);
            } else {
                self.perform(request, cx)?;
            }
        }
        Ok(())
    }

    /// What the disk has to tell first.
    fn attention(&mut self, request: &Request, command: &Result<Command, Sense>) -> Option<Sense> {
        let unit = self.units.get_mut(&request.header.address?)?;
        let passes = command.as_ref().is_ok_and(Command::passes_attention);
        if passes { None } else { unit.take_attention() }
    }

    /// Whether a request that has come stands in line: those that move blocks do, and others of the medium if those
    /// before them are not done in any order, or not at all for now.
    fn must_wait(&self, request: &Request, command: &Result<Command, Sense>) -> bool {
        let (Ok(command), Some(address)) = (command, request.header.address) else { return false };
        let Some(unit) = self.units.get(&address) else { return false };
        let is_simple = |request: &Request| request.header.attribute == 0;
        let before = || self.waiting.iter().filter(|it| it.header.address == Some(address));
        let in_order = || before().any(|it| !is_simple(it) || !is_simple(request));
        command.moved_blocks().is_some() || command.is_of_medium() && (unit.stopped.is_some() || in_order())
    }

    /// Serves some of the requests that wait; whether it served any.
    pub(super) fn serve<M: GuestMemory>(&mut self, cx: &mut Context<'_, M>) -> Result<bool, Breakage> {
        let mut served = false;
        for _ in 0..self.options.at_once {
            let is_stopped = |request: &Request| {
                let unit = request.header.address.and_then(|address| self.units.get(&address));
                unit.is_some_and(|unit| unit.stopped.is_some())
            };
            let Some(next) = self.waiting.iter().position(|request| !is_stopped(request)) else { break };
            let Some(request) = self.waiting.remove(next) else { break };
            served |= self.perform(request, cx)?;
        }
        Ok(served)
    }

    /// Does a request and returns it; or it is the first to wait, and its disk has stopped. Gives whether it was done.
    fn perform<M: GuestMemory>(
        &mut self,
        request: Request,
        cx: &mut Context<'_, M>,
    ) -> Result<bool, Breakage> {
        let outcome = match self.outcome(&request, cx.memory) {
            Ok(outcome) => outcome,
            Err(error) => {
                let unit = request.header.address.and_then(|address| self.units.get_mut(&address));
                if let Some(unit) = unit {
                    unit.stopped = Some(error.to_string());
                }
                self.waiting.push_front(request);
                return Ok(false);
            }
        };
        self.finish(request, outcome, cx)?;
        Ok(true)
    }

    /// Returns a request.
    fn finish<M: GuestMemory>(
        &self,
        request: Request,
        outcome: Outcome,
        cx: &mut Context<'_, M>,
    ) -> Result<(), Breakage> {
        let written = request.respond(&outcome, cx.memory, cx.negotiated.endianness, self.sizes);
        if let Some(mut queue) = cx.queue(request.queue)? {
            queue.push(request.chain, written)?;
            queue.signal()?;
        }
        Ok(())
    }

    /// Returns requests that wait, undone.
    pub(super) fn end<M: GuestMemory>(
        &mut self,
        which: impl Fn(&Request) -> bool,
        outcome: Outcome,
        cx: &mut Context<'_, M>,
    ) -> Result<(), Breakage> {
        let (ended, rest) = self.waiting.drain(..).partition::<VecDeque<_>, _>(|request| which(request));
        self.waiting = rest;
        ended.into_iter().try_for_each(|request| self.finish(request, outcome, cx))
    }
}
