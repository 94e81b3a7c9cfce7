//! `vmig report`: where the page goes, and what the exit status says.

mod common;

use std::fs;

use common::{project, run, transcript};
use insta::assert_snapshot;
use vmstate::source::{Source, read_vec};

#[test]
fn help() {
    assert_snapshot!(transcript("report --help"));
}

#[test]
fn a_page_in_a_file_or_on_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.html");
    let output = run(&format!("report fixtures/x86-q35-gpu-q10.0.mig.zst -o {}", file.display()));
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    let page = fs::read(&file).unwrap();
    assert!(page.starts_with(b"<!DOCTYPE html>"));
    let output = run("report fixtures/x86-q35-gpu-q10.0.mig.zst");
    assert!(output.status.success());
    assert!(output.stdout == page, "standard output has another page than the file");
}

#[test]
fn a_stream_that_ends_early_is_shown_as_far_as_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let whole = project().join("fixtures/x86-q35-gpu-q10.0.mig.zst");
    let source = image::open(whole.to_str().unwrap(), &mut |_| ()).unwrap().source;
    let half = read_vec(&source, 0, source.len() / 2, u64::MAX, "bytes").unwrap();
    let cut = folder.path().join("cut.mig");
    fs::write(&cut, half).unwrap();
    let output = run(&format!("report {}", cut.display()));
    assert_eq!(output.status.code(), Some(1));
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(page.contains("Some of the stream cannot be read.") && page.contains("the stream ends early:"));
    assert!(String::from_utf8_lossy(&output.stderr).contains("error[VM"));
}

#[test]
fn nothing_to_show_is_a_failure() {
    assert_eq!(run("report Cargo.toml").status.code(), Some(2));
    assert_eq!(run("report").status.code(), Some(2));
    assert_eq!(
        run("report fixtures/x86-q35-gpu-q10.0.mig.zst -o no/such/folder/report.html").status.code(),
        Some(2)
    );
}
