//! The registers of the guest's processor, and one moment of its run.

use vmstate::VmState;

use super::boot::Root;
use super::{Board, Cell, Fault, balloon, blk, console, input, net, pages, rng, scsi, vsock};
use crate::map;

/// The registers: all of the guest that is not in its memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, VmState)]
#[vmstate(name = "vmig-cpu", version = 1)]
pub struct Cpu {
    /// Guest address of what the guest knows of itself; 0 before it has booted.
    pub root: u64,
    /// Moments since it booted.
    pub ticks: u64,
    /// Whether it has met what it cannot go on from.
    pub halted: bool,
}

/// Moments that a driver waits for an interrupt before it looks for itself, and counts one as lost.
pub(super) const WATCHDOG: u64 = 100_000;

/// What a driver has while it runs.
pub(super) struct Moment<'a> {
    pub(super) board: &'a mut dyn Board,
    /// Moments since the guest booted.
    pub(super) now: u64,
    /// Whether its device has interrupted.
    pub(super) interrupted: bool,
}

/// Lets the guest run for a moment: each of its drivers does what it has to do.
///
/// # Errors
/// If it meets what it cannot go on from; it is halted then.
pub fn step(cpu: &mut Cpu, board: &mut dyn Board) -> Result<(), Fault> {
    if cpu.halted || cpu.root == 0 {
        return Ok(());
    }
    let done = moment(cpu, board);
    cpu.halted = done.is_err();
    done
}

fn moment(cpu: &mut Cpu, board: &mut dyn Board) -> Result<(), Fault> {
    cpu.ticks += 1;
    let root = Cell::<Root>::at(cpu.root).load(board.memory())?;
    let pending = board.read(map::PIC + map::pic::PENDING, 8);
    for driver in root.drivers() {
        let interrupted = pending >> driver.slot & 1 == 1;
        let mut moment = Moment { board: &mut *board, now: cpu.ticks, interrupted };
        match driver.device {
            net::ID => net::step(driver.cell, &mut moment)?,
            blk::ID => blk::step(driver.cell, &mut moment)?,
            console::ID => console::step(driver.cell, &mut moment)?,
            rng::ID => rng::step(driver.cell, &mut moment)?,
            vsock::ID => vsock::step(driver.cell, &mut moment)?,
            input::ID => input::step(driver.cell, &mut moment)?,
            balloon::ID => balloon::step(driver.cell, &mut moment)?,
            scsi::ID => scsi::step(driver.cell, &mut moment)?,
            _ => {}
        }
    }
    pages::step(root.pages, board.memory())
}
