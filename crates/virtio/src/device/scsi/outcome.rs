//! What becomes of a request.

use std::io::{self, Write};

use vm_memory::GuestMemory;

use super::answer::{report_luns, sense_data};
use super::blocks::{Failure, sense_of};
use super::command::{Command, Transfer};
use super::inquiry::{self, Peripheral};
use super::live::LiveScsi;
use super::request::{Outcome, Request};
use super::response;
use super::sense::Sense;
use super::unit::Done;
use crate::device::disk::ErrorPolicy;

impl LiveScsi {
    /// What becomes of a request; an error of the disk if it is to wait.
    pub(super) fn outcome<M: GuestMemory>(&mut self, request: &Request, memory: &M) -> io::Result<Outcome> {
        let sizes = self.sizes;
        let (given, room) = (request.given(sizes), request.room(sizes));
        let Some(address) = request.header.address.filter(|address| self.has_target(address.target)) else {
            return Ok(Outcome::response(response::BAD_TARGET));
        };
        if given > 0 && room > 0 {
            // Data in both directions needs INOUT, which is not offered.
            return Ok(Outcome::response(response::FAILURE));
        }
        let command = match Command::of(request.header.cdb) {
            Ok(command) => command,
            Err(_) if !self.units.contains_key(&address) => {
                return Ok(Outcome::check(Sense::LUN_NOT_SUPPORTED));
            }
            Err(sense) => return Ok(Outcome::check(sense)),
        };
        let most = match command.transfer() {
            Some(Transfer::ToDriver(bytes)) if bytes > room => {
                return Ok(Outcome::response(response::OVERRUN));
            }
            Some(Transfer::ToDevice(bytes)) if bytes > given => {
                return Ok(Outcome::response(response::OVERRUN));
            }
            Some(Transfer::ToDriver(bytes)) => bytes,
            _ => 0,
        };
        let done = if let Command::ReportLuns { select, room } = command {
            let of_target = self.units.keys().copied().filter(|it| it.target == address.target);
            report_luns(select, room, of_target).map(Done::Answer).map_err(Failure::from)
        } else {
            match self.units.get_mut(&address) {
                Some(unit) => unit.serve(&command, request, memory, sizes),
                None => absent(&command).map(Done::Answer).map_err(Failure::from),
            }
        };
        match done {
            Ok(Done::Moved(bytes)) => Ok(Outcome::good(bytes)),
            Ok(Done::Answer(answer)) => {
                let most = usize::try_from(most).unwrap_or(usize::MAX);
                let answer = answer.get(..most).unwrap_or(&answer);
                // There is room for it, in memory.
                let _ = request.writer(memory, sizes).write_all(answer);
                Ok(Outcome::good(answer.len() as u64))
            }
            Err(Failure::Check(sense)) => Ok(Outcome::check(sense)),
            Err(Failure::Disk(error)) if self.options.on_error == ErrorPolicy::Stop => Err(error),
            Err(Failure::Disk(error)) => Ok(Outcome::check(sense_of(&error, &command))),
        }
    }
}

/// What a target says of a logical unit that it has not (SPC-4 §6.6.1).
fn absent(command: &Command) -> Result<Vec<u8>, Sense> {
    match *command {
        Command::Inquiry { page: None, .. } => Ok(inquiry::standard(Peripheral::Absent)),
        Command::RequestSense { in_descriptors, .. } => {
            Ok(sense_data(Sense::LUN_NOT_SUPPORTED, in_descriptors))
        }
        _ => Err(Sense::LUN_NOT_SUPPORTED),
    }
}
