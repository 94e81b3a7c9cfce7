//! `vmig relay --repair`: a guest of QEMU 5.2 whose balloon knows page poison. QEMU 5.2 writes the name of that
//! state wrong, so no QEMU loads the stream, 5.2 itself included; through vmig it arrives.
//!
//! The stream is a recorded one, since no QEMU 5.2 is at hand. Most of its memory was blanked: it is loaded, and
//! no guest runs from it.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use miette::{IntoDiagnostic, Result, WrapErr, miette};

use super::post::{Post, TO_END, TO_LISTEN};
use crate::cases::{Board, Case};
use crate::debian::suite::Suite;
use crate::machine::command::{End, Shape};
use crate::machine::live::Doing;
use crate::machine::{Machine, Site};
use crate::qemu::Qemu;
use crate::qemu::qmp::text;
use crate::vmig::Live;
use crate::workspace;

/// The machine that was recorded.
pub(super) const KITCHEN: Case = Case {
    name: "x86-q35-kitchen-q5.2",
    board: Board::Q35,
    from: Suite::Bookworm,
    to: Suite::Bookworm,
    devices: &[],
    properties: "",
    arguments: &[
        "-m",
        "48",
        "-S",
        "-netdev",
        "user,id=n0",
        "-device",
        "virtio-net-pci,netdev=n0,mac=52:54:00:12:34:56",
        "-drive",
        "if=none,id=d0,driver=null-co,size=64M",
        "-device",
        "virtio-blk-pci,drive=d0",
        "-drive",
        "if=none,id=d1,driver=null-co,size=64M",
        "-device",
        "virtio-blk-pci,drive=d1",
        "-device",
        "virtio-scsi-pci,id=scsi0",
        "-drive",
        "if=none,id=s0,driver=null-co,size=64M",
        "-device",
        "scsi-hd,drive=s0,bus=scsi0.0",
        "-device",
        "virtio-serial-pci,id=vs0,max_ports=4",
        "-chardev",
        "null,id=cc",
        "-device",
        "virtconsole,chardev=cc,bus=vs0.0",
        "-chardev",
        "null,id=p1",
        "-device",
        "virtserialport,chardev=p1,bus=vs0.0,nr=2,name=org.corpus.port.1",
        "-chardev",
        "null,id=p2",
        "-device",
        "virtserialport,chardev=p2,bus=vs0.0,nr=3,name=org.corpus.port.2",
        "-device",
        "virtio-balloon-pci,id=bal0",
        "-object",
        "rng-random,id=rng0,filename=/dev/urandom",
        "-device",
        "virtio-rng-pci,rng=rng0",
        "-device",
        "virtio-keyboard-pci",
        "-device",
        "virtio-tablet-pci",
    ],
};

/// Its machine type, which QEMU's version is not.
const MACHINE: &str = "pc-q35-5.2";

/// The device that looks into an option ROM in the guest's memory when it is loaded. That memory is blank, so
/// this is as it was before there was a ROM.
const OPTION_ROM: &str = "kvm-tpr-opt";

/// The stream, in the case's directory.
const FILE: &str = "recorded.mig";

pub(super) fn run(post: &Post<'_>, qemu: &Qemu) -> Result<String> {
    let fixture = workspace::root()?.join("fixtures").join(format!("{}.mig.zst", KITCHEN.name));
    let stream = post.site.dir.join(FILE);
    let mut recorded = unpack(&fixture)?;
    blank(&mut recorded, OPTION_ROM)?;
    workspace::write(&stream, recorded)?;
    let mut site = Site::new(post.site.case, &post.site.dir.join("machine"), qemu)?;
    MACHINE.clone_into(&mut site.machine_type);

    let mut unrepaired = Machine::start(&site, qemu, End::Waiting(Shape::Same))?;
    let refusal = unrepaired.load(&stream.to_string_lossy())?;
    let refusal = refusal.ok_or_else(|| miette!("QEMU loads the stream as it was recorded"))?;
    let refusal =
        refusal.lines().find(|line| line.contains("virtio-balloon")).map(str::to_owned).ok_or_else(|| {
            miette!("QEMU was expected to refuse the balloon of the recorded stream, it says {refusal}")
        })?;

    let mut host = Machine::start(&site, qemu, End::Hop(1, Shape::Same))?;
    let destination = host.wait_at(&post.address("out"), post.terms())?;
    let mut relay = post.vmig("relay")?;
    relay.args([&post.address("in"), &destination, "--mode", post.route.way.mode(), "--repair"]);
    let mut relay = Live::start(&mut relay, &post.site.dir, "relay")?;
    let address = relay.listening(TO_LISTEN)?;
    let mut send = post.vmig("send")?;
    send.args([FILE, &address]);
    let sent = Live::start(&mut send, &post.site.dir, "send")?.end(TO_END)?.well();
    let relayed = relay.end(TO_END)?.well()?;
    sent.wrap_err("sending the recorded stream")?;
    host.wait_until_loaded()?;
    match host.doing()? {
        Doing::Other(_) => host.quit()?,
        other => return Err(miette!("QEMU was expected to stand still with the guest, it is {other:?}")),
    }
    let changed = relayed.last("changed").map(|event| text(event, "what").to_owned());
    let changed = changed.ok_or_else(|| miette!("vmig was expected to say what it repaired"))?;
    Ok(format!("loaded after: {changed}; before, QEMU said: {refusal}"))
}

fn unpack(path: &Path) -> Result<Vec<u8>> {
    let unpack = || -> std::io::Result<Vec<u8>> {
        let mut decoder = zstd::Decoder::new(File::open(path)?)?;
        decoder.window_log_max(27)?;
        let mut stream = Vec::new();
        decoder.read_to_end(&mut stream)?;
        Ok(stream)
    };
    unpack().into_diagnostic().wrap_err_with(|| format!("cannot unpack {}", path.display()))
}

/// Puts a section of the stream back to zeros: from its header (the name, instance and version) to its footer
/// (0x7e and the number that the header has before the name).
fn blank(stream: &mut [u8], name: &str) -> Result<()> {
    let find = |stream: &[u8], wanted: &[u8]| stream.windows(wanted.len()).position(|bytes| bytes == wanted);
    let length = u8::try_from(name.len()).into_diagnostic()?;
    let header = [&[length], name.as_bytes()].concat();
    let mut blank = || {
        let at = find(stream, &header)?;
        let footer = [&[0x7e], stream.get(at.checked_sub(4)?..at)?].concat();
        let body = stream.get_mut(at + header.len() + 8..)?;
        let end = find(body, &footer)?;
        body.get_mut(..end)?.fill(0);
        Some(())
    };
    blank().ok_or_else(|| miette!("the recorded stream was expected to have a section {name}"))
}
