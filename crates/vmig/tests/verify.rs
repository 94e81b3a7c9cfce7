//! `vmig verify -o` on every recorded stream: the same bytes, or a reason.

mod common;

use std::fs;

use common::{project, run};

/// Of which something is really wrong: QEMU 5.2's misspelt subsection.
const WITH_FINDINGS: [&str; 2] = ["x86-i440fx-legacy-q5.2", "x86-q35-kitchen-q5.2"];

#[test]
fn every_stream_is_written_again_to_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    let mut streams = 0;
    for entry in fs::read_dir(project().join("fixtures")).unwrap() {
        let path = entry.unwrap().path();
        let Some(name) = path.file_name().unwrap().to_str().unwrap().strip_suffix(".mig.zst") else {
            continue;
        };
        streams += 1;
        let written = folder.path().join(name);
        let output = run(&format!("verify {} -o {}", path.display(), written.display()));
        let expected = i32::from(WITH_FINDINGS.contains(&name));
        assert_eq!(
            output.status.code(),
            Some(expected),
            "{name}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
        let image = image::open(path.to_str().unwrap(), &mut |_| ()).unwrap();
        let mut original = vec![0; usize::try_from(image.source.len()).unwrap()];
        image.source.read_exact_at(0, &mut original).unwrap();
        assert!(fs::read(&written).unwrap() == original, "{name} was written with other bytes");
        fs::remove_file(written).unwrap();
    }
    assert!(streams > 50, "only {streams} streams");
}

#[test]
fn a_stream_cut_short_is_shown_as_far_as_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = project().join("fixtures/x86-q35-packed-q10.0.mig.zst");
    let image = image::open(path.to_str().unwrap(), &mut |_| ()).unwrap();
    let mut bytes = vec![0; usize::try_from(image.source.len()).unwrap()];
    image.source.read_exact_at(0, &mut bytes).unwrap();
    let cut = folder.path().join("cut.mig");
    // Inside the section of the second device.
    let at = bytes.windows(23).position(|name| name == b"0000:00:02.0/virtio-blk").unwrap() + 500;
    fs::write(&cut, &bytes[..at]).unwrap();

    let output = run(&format!("inspect {}", cut.display()));
    assert_eq!(output.status.code(), Some(1));
    let (shown, error) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(shown.contains("0000:00:01.0/virtio-net"), "{shown}");
    assert!(error.contains("error[VM0108]") && error.contains("0000:00:02.0/virtio-blk"), "{error}");
}

#[test]
fn an_output_that_cannot_be_written_is_an_error_and_leaves_nothing() {
    let output = run("verify fixtures/x86-q35-gpu-q10.0.mig.zst -o no-such-folder/out.mig");
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("cannot write no-such-folder/out.mig"), "{error}");
}
