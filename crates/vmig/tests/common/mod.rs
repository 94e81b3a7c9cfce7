//! Runs `vmig` as a user would, in the folder of the project.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses its part, and may panic"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The folder of the project.
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs `vmig` with arguments separated by spaces.
pub fn run(arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vmig"))
        .args(arguments.split_whitespace())
        .current_dir(project())
        .output()
        .unwrap()
}

/// What a run of `vmig` shows: output, errors, exit status.
pub fn transcript(arguments: &str) -> String {
    let output = run(arguments);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut transcript = text(&output.stdout);
    if !output.stderr.is_empty() {
        transcript.push_str("--- standard error\n");
        transcript.push_str(&text(&output.stderr));
    }
    transcript.push_str(&format!("--- exit status {}\n", output.status.code().unwrap()));
    transcript
}
