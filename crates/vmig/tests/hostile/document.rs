//! `docs/security.md`: what is between its comments is made from the table of attacks and from the tree; the rest is
//! written by hand. `UPDATE=1 cargo test -p vmig --test hostile` writes it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::attacks::ATTACKS;
use crate::common::project;

/// The attacks, as a table.
fn attacks() -> String {
    let mut table = "| attack | what is wrong | what `vmig verify` says |\n| --- | --- | --- |\n".to_owned();
    for attack in ATTACKS {
        let code = attack.says.split(['[', ']', ':', ' ']).find(|word| word.starts_with("VM0"));
        let link = code.map(|code| format!(" ([{code}](codes.md))")).unwrap_or_default();
        let says = attack.says.replace('|', "\\|");
        // Two backticks around what has some itself.
        writeln!(table, "| {} | {} | `` {says} ``{link} |", attack.name, attack.trick).unwrap();
    }
    table
}

/// The Rust files of the tree.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open: Vec<_> = ["benches", "crates", "fuzz", "xtask"].map(|folder| project().join(folder)).into();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// How often code (not a comment, nor a text) says `unsafe`.
fn uses(source: &str) -> usize {
    let starts = ["{", "impl", "fn", "extern"].map(|what| ["unsafe", what].join(" "));
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.filter(|line| starts.iter().any(|start| line.contains(start))).count()
}

/// The reason that an exception from the lint gives: in the file, or in the root of its crate.
fn reason(path: &Path) -> Option<String> {
    let of = |path: &Path| {
        let text = fs::read_to_string(path).ok()?;
        let (_, rest) = text.split_once("unsafe_code,")?;
        let (_, rest) = rest.split_once("reason = \"")?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let folder = path.parent()?;
    of(path).or_else(|| ["main.rs", "lib.rs"].iter().find_map(|root| of(&folder.join(root))))
}

/// Where `unsafe` is and why, as a table.
fn unsafe_code() -> String {
    let mut table = "| file | times | why |\n| --- | --- | --- |\n".to_owned();
    for path in sources() {
        let times = uses(&fs::read_to_string(&path).unwrap());
        let name = path.strip_prefix(project()).unwrap().display();
        if times > 0 {
            let why = reason(&path).unwrap_or_else(|| panic!("{name} does not say why it needs it"));
            writeln!(table, "| `{name}` | {times} | {why} |").unwrap();
        }
    }
    table
}

/// The document with a table in its place.
fn replaced(text: &str, name: &str, table: &str) -> String {
    let begin = format!("<!-- {name}: begin (UPDATE=1 cargo test -p vmig --test hostile) -->\n");
    let end = format!("<!-- {name}: end -->");
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("no {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no {end}"));
    format!("{before}{begin}{table}{end}{after}")
}

#[test]
fn the_document_is_up_to_date() {
    let path = project().join("docs/security.md");
    let found = fs::read_to_string(&path).unwrap();
    let expected = replaced(&found, "attacks", &attacks());
    let expected = replaced(&expected, "unsafe", &unsafe_code());
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &expected).unwrap();
        return;
    }
    assert!(found == expected, "docs/security.md is out of date: UPDATE=1 cargo test -p vmig --test hostile");
}

#[test]
fn comments_and_texts_are_no_code() {
    let word = "unsafe";
    assert_eq!(
        uses(&format!("// {word} {{\nlet a = {word} {{ b }};\n\"'{word}-inline'\"\n{word} impl A {{}}")),
        2
    );
}
