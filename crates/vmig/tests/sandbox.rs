//! `vmig receive` and `relay` in their sandbox: a guest arrives all the same.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod common;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use common::project;

const STREAM: &str = "fixtures/x86-q35-net-mq4-q10.0.mig.zst";

fn start(arguments: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vmig"));
    command.args(arguments.split_whitespace()).current_dir(project());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// What it printed; it has to end well.
fn ended(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let [out, error] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success(), "{}\n{out}{error}", output.status);
    out + &error
}

fn wait_for(path: &Path) {
    for _ in 0..600 {
        if path.exists() {
            return;
        }
        sleep(Duration::from_millis(50));
    }
}

/// A guest is received with these options; what was printed of it.
fn receive(options: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let [socket, file] = ["in.sock", "guest.mig"].map(|name| folder.path().join(name));
    let (channel, output) = (format!("unix:{}", socket.display()), file.display());
    let receiver = start(&format!("receive {channel} -o {output} --json --accept-timeout 60 {options}"));
    wait_for(&socket);
    let sender = start(&format!("send {STREAM} {channel}"));
    let said = ended(receiver);
    ended(sender);
    assert!(ended(start(&format!("verify {output}"))).contains("identical"));
    said
}

#[test]
fn a_guest_arrives_in_the_sandbox() {
    for options in ["", "--mapped-ram", "--edit 0000:00:01.0/virtio-net.core.isr=0"] {
        let said = receive(&format!("--sandbox on {options}"));
        assert!(said.contains(r#""event":"sandboxed""#), "{options}: {said}");
    }
    assert!(!receive("--sandbox off").contains("sandboxed"));
}

#[test]
fn a_guest_passes_through_the_sandbox() {
    for mode in ["hold", "stream"] {
        let folder = tempfile::tempdir().unwrap();
        let [from, to, file, copy] =
            ["a.sock", "b.sock", "guest.mig", "copy.mig"].map(|name| folder.path().join(name));
        let [source, destination] = [&from, &to].map(|path| format!("unix:{}", path.display()));
        let receiver = start(&format!("receive {destination} -o {} --sandbox on", file.display()));
        wait_for(&to);
        let relay = start(&format!(
            "relay {source} {destination} --mode {mode} --save {} --json --sandbox on",
            copy.display()
        ));
        wait_for(&from);
        let sender = start(&format!("send {STREAM} {source}"));
        let said = ended(relay);
        assert!(said.contains(r#""event":"sandboxed""#), "{said}");
        ended(sender);
        ended(receiver);
        assert!(file.exists() && copy.exists());
    }
}
