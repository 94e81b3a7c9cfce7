//! The examples of the README and the book are what `vmig` prints, and their links lead somewhere.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::path::PathBuf;

use common::{project, transcript};

/// Checks that `shown` is `printed`, where a line `...` stands for any lines.
fn matches(shown: &[&str], printed: &[&str]) -> bool {
    match (shown.split_first(), printed.split_first()) {
        (None, None) => true,
        (Some((&"...", rest)), None) => matches(rest, printed),
        (Some((&"...", rest)), Some((_, later))) => matches(rest, printed) || matches(shown, later),
        (Some((line, rest)), Some((first, later))) => line == first && matches(rest, later),
        _ => false,
    }
}

/// The README, and all pages of the book.
fn pages() -> Vec<(PathBuf, String)> {
    let docs = project().join("docs");
    let folders = [docs.clone(), docs.join("how-to")];
    let files =
        folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()));
    let pages = files.filter(|file| file.extension().is_some_and(|extension| extension == "md"));
    let pages = pages.chain([project().join("README.md"), project().join("ARCHITECTURE.md")]);
    pages.map(|file| (file.clone(), fs::read_to_string(file).unwrap())).collect()
}

#[test]
fn examples_are_true() {
    let pages = pages();
    let examples: Vec<&str> =
        pages.iter().flat_map(|(_, text)| text.split("```console\n$ vmig ").skip(1)).collect();
    assert!(examples.len() >= 4, "there are {} examples", examples.len());
    for example in examples {
        let (example, _) = example.split_once("\n```").unwrap();
        let (command, shown) = example.split_once('\n').unwrap();
        let printed = transcript(command);
        let (printed, _) = printed.split_once("--- ").unwrap();
        let shown: Vec<&str> = shown.lines().collect();
        let printed: Vec<&str> = printed.lines().collect();
        assert!(matches(&shown, &printed), "`vmig {command}` prints:\n{}", printed.join("\n"));
    }
}

#[test]
fn links_lead_somewhere() {
    let mut links = 0;
    for (page, text) in pages() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')) {
            let target = link.0.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            links += 1;
            let file = page.parent().unwrap().join(target);
            assert!(file.exists(), "{} links to {target}, which is not there", page.display());
        }
    }
    assert!(links > 20, "there are {links} links");
}
