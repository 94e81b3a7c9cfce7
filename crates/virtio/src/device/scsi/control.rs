//! The control queue: tasks are aborted or asked for, disks reset (virtio 1.3 §5.6.6.2).

use std::io::{self, Write};

use vm_memory::GuestMemory;

use super::address::ScsiAddress;
use super::live::LiveScsi;
use super::request::{Outcome, Request};
use super::sense::Sense;
use super::{CONTROL, response};
use crate::core::Endianness;
use crate::live::{Breakage, Context};
use crate::ring::{Chain, Reader};

/// Types of requests.
const TASK_MANAGEMENT: u32 = 0;
const ASYNC_QUERY: u32 = 1;
const ASYNC_SUBSCRIBE: u32 = 2;

/// Functions of task management.
mod function {
    pub(super) const ABORT_TASK: u32 = 0;
    pub(super) const ABORT_TASK_SET: u32 = 1;
    pub(super) const CLEAR_TASK_SET: u32 = 3;
    pub(super) const I_T_NEXUS_RESET: u32 = 4;
    pub(super) const LOGICAL_UNIT_RESET: u32 = 5;
    pub(super) const QUERY_TASK: u32 = 6;
    pub(super) const QUERY_TASK_SET: u32 = 7;
}

/// What the driver asks for.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Task {
        function: u32,
        lun: [u8; 8],
        id: u64,
    },
    /// Asynchronous notifications (of media, of power): no disk here has any, so none is promised.
    Notifications,
    Unknown,
}

impl LiveScsi {
    /// Serves what the driver offers in the control queue.
    pub(super) fn serve_control<M: GuestMemory>(&mut self, cx: &mut Context<'_, M>) -> Result<(), Breakage> {
        let endianness = cx.negotiated.endianness;
        let memory = cx.memory;
        loop {
            let taken = match cx.queue(CONTROL)? {
                Some(mut queue) => queue.pop()?,
                None => None,
            };
            let Some(chain) = taken else { return Ok(()) };
            let malformed = |message: String| Breakage::Request { queue: CONTROL, message };
            let asked = Asked::read(&mut chain.reader(memory), endianness).map_err(|_| {
                malformed(format!("a control request is cut short after {} bytes", chain.readable_len()))
            })?;
            let answer = match asked {
                Asked::Task { function, lun, id } => vec![self.manage(function, lun, id, cx)?],
                Asked::Notifications => [endianness.u32_bytes(0).as_slice(), &[response::OK]].concat(),
                Asked::Unknown => vec![response::FAILURE],
            };
            answered(&chain, memory, &answer).map_err(|_| {
                let (most, needed) = (chain.writable_len(), answer.len());
                malformed(format!("a control request has room for {most} bytes, expected {needed} or more"))
            })?;
            if let Some(mut queue) = cx.queue(CONTROL)? {
                queue.push(chain, u32::try_from(answer.len()).unwrap_or_default())?;
                queue.signal()?;
            }
        }
    }

    /// Does a function of task management; what it ends is returned before this is answered.
    fn manage<M: GuestMemory>(
        &mut self,
        function: u32,
        lun: [u8; 8],
        id: u64,
        cx: &mut Context<'_, M>,
    ) -> Result<u8, Breakage> {
        let Some(address) = ScsiAddress::of_field(lun).filter(|address| self.has_target(address.target))
        else {
            return Ok(response::BAD_TARGET);
        };
        if function == function::I_T_NEXUS_RESET {
            let reset = |it: &ScsiAddress| it.target == address.target;
            self.reset_units(reset, Sense::NEXUS_LOSS, cx)?;
            return Ok(response::OK);
        }
        if !self.units.contains_key(&address) {
            return Ok(response::INCORRECT_LUN);
        }
        let of_unit = |request: &Request| request.header.address == Some(address);
        let is_task = |request: &Request| of_unit(request) && request.header.id == id;
        let found = |is_there: bool| if is_there { response::FUNCTION_SUCCEEDED } else { response::OK };
        let aborted = Outcome::response(response::ABORTED);
        Ok(match function {
            function::ABORT_TASK => {
                self.end(is_task, aborted, cx)?;
                response::OK
            }
            function::ABORT_TASK_SET | function::CLEAR_TASK_SET => {
                self.end(of_unit, aborted, cx)?;
                response::OK
            }
            function::LOGICAL_UNIT_RESET => {
                self.reset_units(|it| *it == address, Sense::UNIT_RESET, cx)?;
                response::OK
            }
            function::QUERY_TASK => found(self.waiting.iter().any(is_task)),
            function::QUERY_TASK_SET => found(self.waiting.iter().any(of_unit)),
            _ => response::FUNCTION_REJECTED,
        })
    }

    fn reset_units<M: GuestMemory>(
        &mut self,
        are_reset: impl Fn(&ScsiAddress) -> bool,
        why: Sense,
        cx: &mut Context<'_, M>,
    ) -> Result<(), Breakage> {
        let of_them = |request: &Request| request.header.address.as_ref().is_some_and(&are_reset);
        self.end(of_them, Outcome::response(response::RESET), cx)?;
        self.units.iter_mut().filter(|(address, _)| are_reset(address)).for_each(|(_, unit)| unit.reset(why));
        Ok(())
    }
}

impl Asked {
    fn read<M: GuestMemory>(reader: &mut Reader<'_, M>, endianness: Endianness) -> io::Result<Self> {
        Ok(match endianness.u32(reader.array()?) {
            TASK_MANAGEMENT => Self::Task {
                function: endianness.u32(reader.array()?),
                lun: reader.array()?,
                id: endianness.u64(reader.array()?),
            },
            ASYNC_QUERY | ASYNC_SUBSCRIBE => {
                let _lun: [u8; 8] = reader.array()?;
                let _events: [u8; 4] = reader.array()?;
                Self::Notifications
            }
            _ => Self::Unknown,
        })
    }
}

fn answered<M: GuestMemory>(chain: &Chain, memory: &M, bytes: &[u8]) -> io::Result<()> {
    chain.writer(memory).write_all(bytes)
}
