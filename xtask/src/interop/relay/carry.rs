//! A guest goes from host to host, with vmig between each two.

use miette::{Result, WrapErr, miette};

use super::super::edit;
use super::BEATS;
use super::post::{Post, TO_LISTEN};
use crate::machine::Machine;
use crate::machine::command::{End, Shape};
use crate::machine::live::Doing;
use crate::qemu::Qemu;
use crate::vmig::Live;

pub(super) fn run(post: &Post<'_>, first: &Qemu, others: &[Qemu]) -> Result<String> {
    let site = post.site;
    let mut host = Machine::start(site, first, End::Source)?;
    host.work(BEATS).wrap_err("before it was carried")?;
    let mut seen = Vec::new();
    for (number, qemu) in (1..).zip(others) {
        let mut next = Machine::start(site, qemu, End::Hop(number, Shape::Same))?;
        let hop = carry(post, &mut host, &mut next).wrap_err_with(|| format!("hop {number}"))?;
        seen.push(hop);
        host = next;
        host.wait_for_beat(site.beats()?.last + BEATS).wrap_err_with(|| format!("after hop {number}"))?;
    }
    host.take_memory_back()?;
    let beats = site.beats()?;
    host.wait_for_beat(beats.last + 1)?;
    host.quit()?;
    site.check_port(&beats)?;
    if post.route.way.is_edit() {
        edit::check_seen(site)?;
    }
    Ok(format!("{} beats, {}", beats.last, seen.join("; ")))
}

/// Carries a running guest from one host to the next, and sees that one of them runs it then.
fn carry(post: &Post<'_>, from: &mut Machine<'_>, to: &mut Machine<'_>) -> Result<String> {
    let destination = to.wait_at(&post.address("out"), post.terms())?;
    let (address, vmig) = if post.has_vmig() {
        let mut command = post.vmig("relay")?;
        command.args([&post.address("in"), &destination, "--mode", post.route.way.mode()]);
        post.certify(&mut command, "--tls-in");
        post.certify(&mut command, "--tls-out");
        post.agree(&mut command, true);
        if post.route.way.is_edit() {
            command.args(["--edit", &edit::change(post.site.case)]);
        }
        let mut vmig = Live::start(&mut command, &post.site.dir, "relay")?;
        (vmig.listening(TO_LISTEN)?, Some(vmig))
    } else {
        (destination, None)
    };
    let seen = post.leave(from, &address, vmig)?;
    to.wait_until_running().wrap_err("at the destination")?;
    match from.doing()? {
        Doing::Other(state) if state == "postmigrate" => Ok(seen),
        other => Err(miette!("the source was expected to be postmigrate, it is {other:?}")),
    }
}
