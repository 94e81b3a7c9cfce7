//! Every code has a page, every page a code, and `docs/codes.md` is made of the pages.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use compat::explain::{Page, pages};
use regex::Regex;

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The Rust files below a folder of the project, without their unit tests.
fn sources(path: &str) -> Vec<String> {
    let path = project().join(path);
    let mut found = Vec::new();
    let mut open = vec![path];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(path).unwrap();
            found.push(text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned());
        }
    }
    found
}

/// The codes that are given out, as they stand where they are given.
fn codes() -> BTreeSet<u16> {
    let places = [
        ("crates/vmstate/src/error.rs", r"Self::\w+(?:\(_\)| \{ \.\. \})? => (\d+),"),
        ("crates/migration/src/error.rs", r"=> Code\((\d+)\)"),
        ("crates/virtio/src/finding.rs", r"=> \((\d+), (?:Warning|BreaksDevice|FailsLoad)\)"),
        ("crates/virtio/src/device", r"(?:add_device|fails)\(\s*(\d+),"),
        ("crates/virtio/src/companion", r"(?:add_device|fails)\(\s*(\d+),"),
    ];
    let mut codes = BTreeSet::new();
    for (path, pattern) in places {
        let pattern = Regex::new(pattern).unwrap();
        let before = codes.len();
        for source in sources(path) {
            codes.extend(pattern.captures_iter(&source).map(|found| found[1].parse::<u16>().unwrap()));
        }
        assert!(codes.len() > before, "{path} gives no codes as it used to");
    }
    codes.extend(compat::verdict::code::ALL.iter().map(|(code, _)| code.0));
    codes
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let pages: Vec<u16> = pages().iter().map(|page| page.code.0).collect();
    assert!(pages.is_sorted_by(|a, b| a < b), "a code with two pages: {pages:?}");
    assert_eq!(pages.into_iter().collect::<BTreeSet<_>>(), codes());
}

#[test]
fn pages_are_complete() {
    for Page { code, title, meaning, cause, remedy, example, .. } in pages() {
        for text in [title, meaning, cause, remedy] {
            assert!(text.ends_with('.') || text.ends_with('`'), "{code}: {text}");
        }
        assert!(example.contains(&code.to_string()), "{code}: {example}");
    }
}

/// `docs/codes.md`, as it should be. `UPDATE=1 cargo test -p compat --test codes` writes it.
#[test]
fn the_document_is_up_to_date() {
    let path = project().join("docs/codes.md");
    let expected = compat::explain::document();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap();
    assert!(found == expected, "docs/codes.md is out of date: UPDATE=1 cargo test -p compat --test codes");
}
