//! Streams that mean harm: `vmig verify` says of each exactly what is wrong with it, soon and in little memory.
//!
//! What the libraries do with bytes cut or changed anywhere is tested beside them: `vmstate/tests/stream/hostile.rs`
//! (streams made to take long), `virtio/tests/robust.rs`, `image/tests/containers`, `report/tests/hostile.rs`
//! (pages), `virtio/tests/ring/hostile.rs` and `virtio/tests/live/hostile` (drivers that mean harm).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod attacks;
#[path = "../common/mod.rs"]
mod common;
mod document;
mod forge;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use attacks::ATTACKS;

/// Seconds of processor time that a run may take at most.
const TIME: u32 = 20;
/// KiB of address space that a run may take at most.
const MEMORY: u32 = 1 << 20;

/// Runs `vmig verify` with limited time and memory: a signal ends it if it wants more.
fn verify(stream: &Path) -> Output {
    let script = format!("ulimit -t {TIME} && ulimit -v {MEMORY} && exec \"$0\" verify \"$1\"");
    Command::new("sh").args(["-c", &script, env!("CARGO_BIN_EXE_vmig")]).arg(stream).output().unwrap()
}

#[test]
fn every_attack_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hostile.mig");
    let mut wrong = Vec::new();
    for attack in ATTACKS {
        fs::write(&path, (attack.stream)()).unwrap();
        let output = verify(&path);
        let text = [&output.stdout[..], &output.stderr].concat();
        let text = String::from_utf8(text).unwrap().replace(path.to_str().unwrap(), "FILE");
        // Not 101, as of a panic, nor a signal.
        let is_error = matches!(output.status.code(), Some(0..=2));
        if !is_error || !text.lines().any(|line| line.trim() == attack.says) {
            let said: Vec<_> =
                text.lines().filter(|line| line.contains("VM0") || line.contains("error")).collect();
            wrong.push(format!("{} ({}): {}\n{}", attack.name, attack.trick, output.status, said.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
