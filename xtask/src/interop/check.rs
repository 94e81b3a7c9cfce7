//! `vmig check` and `vmig profile`: what a waiting QEMU will do with a stream is foretold, then tried.
//!
//! Three destinations: the case's own, one whose disk lacks a feature that the guest uses, and one whose disk
//! has a smaller queue, which some releases mind and some do not.

use miette::{IntoDiagnostic, Result, miette};
use serde_json::Value;

use super::{FROM_QEMU, Saved, Vmig};
use crate::machine::Machine;
use crate::machine::command::{End, Shape};
use crate::qemu::Qemu;

/// The stream that a destination writes right after start, and the profile made with it.
const FRESH: &str = "fresh.mig";
const PROFILE: &str = "destination.json";

pub(super) fn run(saved: &Saved<'_>, to: &Qemu, vmig: Vmig<'_>) -> Result<String> {
    let loads = foretell(saved, to, vmig, Shape::Same)?;
    if loads.exit != 0 {
        return Err(miette!("vmig check was expected to say that it loads, it said\n{}", loads.said));
    }
    let lacks = foretell(saved, to, vmig, Shape::LacksEventIdx)?;
    let reason = lacks.json.pointer("/reasons/0/qemu_message").and_then(Value::as_str).unwrap_or_default();
    if lacks.exit != 1 || reason.is_empty() {
        return Err(miette!("vmig check was expected to say that it does not load, it said\n{}", lacks.said));
    }
    let small = foretell(saved, to, vmig, Shape::SmallQueue)?;
    let queue = if small.exit == 0 { "a smaller queue loaded" } else { "a smaller queue did not load" };
    Ok(format!("one loaded, {queue}, one did not: {reason}"))
}

/// What vmig foretold.
struct Foretold {
    exit: i32,
    said: String,
    json: Value,
}

/// Asks vmig about a waiting destination, and compares with what that makes of the stream.
fn foretell(saved: &Saved<'_>, to: &Qemu, vmig: Vmig<'_>, shape: Shape) -> Result<Foretold> {
    let mut fresh = Machine::start(saved.site, to, End::Fresh(shape))?;
    fresh.save(FRESH)?;
    fresh.quit()?;

    let mut waiting = Machine::start(saved.site, to, End::Waiting(shape))?;
    // QEMU speaks with one client at a time.
    let socket = format!("qmp:{}", waiting.second_socket().display());
    vmig.run(&["profile", FRESH, &socket, "-o", PROFILE])?;
    let ask = |onto: &[&str]| -> Result<Foretold> {
        let mut command = vmig.command(&["check", FROM_QEMU, "--json"]);
        for source in onto {
            command.args(["--onto", source]);
        }
        let output = command.output().into_diagnostic()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let json = serde_json::from_str(&said).into_diagnostic()?;
        Ok(Foretold { exit: output.status.code().unwrap_or(-1), said, json })
    };
    let foretold = ask(&[PROFILE])?;
    for onto in [&[FRESH, &socket][..], &[&socket, FRESH]] {
        let same = ask(onto)?;
        if same.json != foretold.json {
            return Err(miette!(
                "onto {onto:?} vmig said\n{}\nand onto their profile\n{}",
                same.said,
                foretold.said
            ));
        }
    }
    // Alone, what it answers may not be enough, and is never wrong.
    let alone = ask(&[&socket])?;
    let wrong = 1 - foretold.exit;
    if alone.exit == wrong {
        return Err(miette!("onto {socket} alone, vmig said\n{}", alone.said));
    }

    let refusal = waiting.load(FROM_QEMU)?;
    match (foretold.exit, refusal) {
        (0, None) => waiting.quit()?,
        (1, Some(said)) => {
            let messages = foretold.json.pointer("/reasons").and_then(Value::as_array);
            let messages = messages.into_iter().flatten().filter_map(|reason| reason.get("qemu_message"));
            // What cannot be known of a message ends it, as dots.
            let known = |message: &Value| message.as_str()?.split('…').next().map(str::to_owned);
            if !messages.filter_map(known).any(|message| said.contains(&message)) {
                return Err(miette!("QEMU said\n{said}\nand vmig foretold\n{}", foretold.said));
            }
        }
        (_, refusal) => {
            let did = refusal.map_or("loaded it".to_owned(), |said| format!("did not load it:\n{said}"));
            return Err(miette!("QEMU {did}\nand vmig foretold\n{}", foretold.said));
        }
    }
    Ok(foretold)
}
