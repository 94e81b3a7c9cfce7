//! `vmig receive` and `vmig send`: a running guest arrives in a file, and a file goes to a waiting QEMU.

use miette::{Result, WrapErr, miette};

use super::BEATS;
use super::post::{Post, TO_END, TO_LISTEN};
use crate::machine::Machine;
use crate::machine::command::{End, Shape};
use crate::machine::live::{Ended, Terms};
use crate::qemu::Qemu;
use crate::vmig::Live;

/// The file, in the case's directory.
const FILE: &str = "guest.mig";

/// A running guest goes into a file, and QEMU loads that.
pub(super) fn receive(post: &Post<'_>, first: &Qemu, others: &[Qemu]) -> Result<String> {
    let seen = into_file(post, first)?;
    let mut host = next(post, others)?;
    // What came over several channels has a place for each page.
    if post.route.multifd > 0 {
        host.load_mapped(FILE)?;
    } else {
        host.wait_at(&format!("exec:cat {FILE}"), Terms::default())?;
    }
    goes_on(post, host, &seen)
}

/// QEMU writes a running guest to a file, and that goes to a waiting QEMU.
pub(super) fn send(post: &Post<'_>, first: &Qemu, others: &[Qemu]) -> Result<String> {
    let mut host = Machine::start(post.site, first, End::Source)?;
    host.work(BEATS)?;
    host.send_to(&format!("exec:cat > {FILE}"), Terms { one_way: true, ..Terms::default() })?;
    match host.wait_for_end(TO_END)? {
        Ended::Completed { .. } => host.quit()?,
        other => return Err(miette!("QEMU did not write the guest: {other:?}")),
    }
    let host = out_of_file(post, others)?;
    goes_on(post, host, "sent")
}

/// A running guest goes into a file, and that goes to a waiting QEMU: QEMU and QEMU, with vmig as both ends.
pub(super) fn receive_and_send(post: &Post<'_>, first: &Qemu, others: &[Qemu]) -> Result<String> {
    let seen = into_file(post, first)?;
    let host = out_of_file(post, others)?;
    goes_on(post, host, &seen)
}

fn into_file(post: &Post<'_>, first: &Qemu) -> Result<String> {
    let mut host = Machine::start(post.site, first, End::Source)?;
    host.work(BEATS)?;
    let mut command = post.vmig("receive")?;
    command.args([&post.address("in"), "-o", FILE]);
    post.certify(&mut command, "--tls");
    post.agree(&mut command, false);
    let mut vmig = Live::start(&mut command, &post.site.dir, "receive")?;
    let address = vmig.listening(TO_LISTEN)?;
    let seen = post.leave(&mut host, &address, Some(vmig))?;
    host.quit()?;
    Ok(seen)
}

fn out_of_file<'a>(post: &Post<'a>, others: &[Qemu]) -> Result<Machine<'a>> {
    let mut host = next(post, others)?;
    let address = host.wait_at(&post.address("out"), post.terms())?;
    let mut command = post.vmig("send")?;
    command.args([FILE, &address]);
    post.certify(&mut command, "--tls");
    post.agree(&mut command, true);
    Live::start(&mut command, &post.site.dir, "send")?.end(TO_END)?.well()?;
    Ok(host)
}

fn next<'a>(post: &Post<'a>, others: &[Qemu]) -> Result<Machine<'a>> {
    let qemu = others.first().ok_or_else(|| miette!("a second host was expected"))?;
    Machine::start(post.site, qemu, End::Hop(1, Shape::Same))
}

/// Sees that the guest, which ran when it went, goes on by itself.
fn goes_on(post: &Post<'_>, mut host: Machine<'_>, seen: &str) -> Result<String> {
    host.wait_until_running().wrap_err("out of the file")?;
    let before = post.site.beats()?.last;
    host.wait_for_beat(before + BEATS).wrap_err("out of the file")?;
    host.take_memory_back()?;
    let beats = post.site.beats()?;
    host.quit()?;
    post.site.check_port(&beats)?;
    Ok(format!("{} beats, {seen}", beats.last))
}
