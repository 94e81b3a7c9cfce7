//! `vmig relay --complete-io`: a guest that QEMU stopped, because its disk was full, is in the middle of a write. vmig
//! does that on the way, and the guest goes on at the destination as if nothing had been.
//!
//! The guest writes nothing else to that disk meanwhile, and waits for the write: it goes on only if it is interrupted.

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use serde_json::{Value, json};

use super::BEATS;
use super::post::{Post, TO_END, TO_LISTEN};
use crate::machine::Machine;
use crate::machine::command::{DISKS, End, Shape};
use crate::machine::live::Ended;
use crate::qemu::Qemu;
use crate::truth;
use crate::vmig::Live;
use crate::workspace;

/// The beat in which the guest is stopped. In each it writes the block with the beat's number.
const STUCK: u64 = 10;
/// Bytes of a block.
const BLOCK: usize = 4096;

pub(super) fn run(post: &Post<'_>, first: &Qemu, others: &[Qemu]) -> Result<String> {
    let site = post.site;
    let next = others.first().ok_or_else(|| miette!("a second host was expected"))?;
    let [image, _] = DISKS;
    let mut source = Machine::start(site, first, End::Stuck(STUCK))?;
    source.wait_until_it_is("io-error").wrap_err("with a disk that is full")?;
    let before = site.beats()?.last;
    if before + 1 != STUCK || block(post, image)?.starts_with(b"beat") {
        return Err(miette!("the guest was expected to be stopped in beat {STUCK}, {before} was its last"));
    }

    let mut host = Machine::start(site, next, End::Hop(1, Shape::Same))?;
    let destination = host.wait_at(&post.address("out"), post.terms())?;
    let mut relay = post.vmig("relay")?;
    relay.args([&post.address("in"), &destination, "--complete-io", &format!("blk0={image}")]);
    post.certify(&mut relay, "--tls-in");
    post.certify(&mut relay, "--tls-out");
    post.agree(&mut relay, true);
    let mut relay = Live::start(&mut relay, &site.dir, "relay")?;
    let address = relay.listening(TO_LISTEN)?;
    source.send_to(&address, post.terms())?;
    let relayed = relay.end(TO_END)?.well().wrap_err("on the way")?;
    match source.wait_for_end(TO_LISTEN)? {
        Ended::Completed { .. } => source.quit()?,
        other => return Err(miette!("vmig says all went well, and the source says {other:?}")),
    }

    let served = relayed.last("served").ok_or_else(|| miette!("vmig did not say what it served"))?;
    if served.pointer("/queues/0/write") != Some(&json!(1)) {
        return Err(miette!("one write was expected to be served, vmig says {served}"));
    }
    // The destination stands still yet: this is vmig's.
    let written = block(post, image)?;
    if !written.starts_with(format!("beat {STUCK} on this disk\n").as_bytes()) {
        return Err(miette!("the disk was expected to have the block of beat {STUCK}"));
    }
    host.wait_until_it_is("io-error").wrap_err("at the destination")?;
    let again = served.get("again").and_then(Value::as_u64).unwrap_or_default();
    let devices = truth::ask(&mut host, site.case)?;
    let disk = devices.iter().filter(|device| device.name == "virtio-blk");
    let in_flight: u64 = disk.flat_map(|device| &device.queues).map(|queue| queue.inuse).sum();
    if in_flight != again {
        return Err(miette!("QEMU was expected to have {again} in flight, it has {in_flight}"));
    }
    host.resume()?;
    host.wait_for_beat(STUCK + BEATS).wrap_err("after its write was done")?;
    host.take_memory_back()?;
    let beats = site.beats()?;
    host.quit()?;
    site.check_port(&beats)?;
    let how = if again > 0 { "the next QEMU interrupted" } else { "vmig left the interrupt pending" };
    Ok(format!("{} beats, stuck in beat {STUCK}, where vmig served 1 write and {how}", beats.last))
}

/// The block that the guest was about to write.
fn block(post: &Post<'_>, image: &str) -> Result<Vec<u8>> {
    let disk = workspace::read(&post.site.dir.join(image))?;
    let at = usize::try_from(STUCK).into_diagnostic()? * BLOCK;
    disk.get(at..at + BLOCK).map(<[u8]>::to_vec).ok_or_else(|| miette!("the disk ends before {at}"))
}
