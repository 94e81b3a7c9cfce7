//! The examples of the README are what `vmig` prints.

mod common;

use std::fs;

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

#[test]
fn examples_are_true() {
    let readme = fs::read_to_string(project().join("README.md")).unwrap();
    let examples: Vec<&str> = readme.split("```console\n$ vmig ").skip(1).collect();
    assert!(examples.len() >= 2, "the README has {} examples", examples.len());
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
