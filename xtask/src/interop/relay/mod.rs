//! `vmig relay`, `receive` and `send`: a guest is not stopped before, and runs while it goes from host to host.
//!
//! `route` has the ways that are tried, `post` what lies between two hosts; then a file for each thing
//! that is done: `carry` has vmig in the middle, `file` at one end, `repair` gives it what no QEMU loads,
//! `complete` has it do what a guest was stopped at.

mod carry;
mod complete;
mod file;
mod post;
mod repair;
mod route;

use std::path::Path;

use miette::Result;

use self::post::Post;
pub(super) use self::route::chosen;
use self::route::{Route, Way};
use crate::cases::Case;
use crate::machine::Site;
use crate::qemu::Qemu;

/// Beats that a guest makes at each host before it goes on.
const BEATS: u64 = 4;

/// Has the guest of a case go its way; what was seen, in a few words.
pub(super) fn run(
    route: &Route,
    case: &'static Case,
    dir: &Path,
    qemus: &[Qemu],
    vmig: Option<&Path>,
) -> Result<String> {
    let [first, others @ ..] = qemus else { return Ok("no hosts".to_owned()) };
    let site = Site::new(case, dir, first)?;
    let post = Post::new(route, &site, vmig)?;
    match route.way {
        Way::Hold | Way::Stream | Way::EditHold | Way::EditStream => carry::run(&post, first, others),
        Way::Complete => complete::run(&post, first, others),
        Way::Receive => file::receive(&post, first, others),
        Way::Send => file::send(&post, first, others),
        Way::ReceiveSend => file::receive_and_send(&post, first, others),
        Way::RepairHold | Way::RepairStream => repair::run(&post, first),
    }
}
