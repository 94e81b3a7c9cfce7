//! The page: one HTML file that needs nothing else, no network and no scripts.
//!
//! Findings come first, then the stream as a map, its RAM, and each device by layer with its rings. Of two
//! streams it shows what differs, side by side. Everything in a stream is untrusted: it goes through
//! [`text::Text`], and whatever a stream can have many of is capped or grouped.

mod chips;
mod device;
mod diff;
mod findings;
mod head;
mod map;
mod ram;
mod ring;
mod sections;
mod text;
mod tree;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::{Document, Reading};
use text::Text;

/// A stream that a page is about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// What it is called, such as the name of its file.
    pub name: &'a str,
    /// What was read of it.
    pub reading: Reading<'a>,
}

/// A subject with its document, and the letter it goes by on the page.
struct View<'a> {
    letter: char,
    name: &'a str,
    reading: Reading<'a>,
    document: Document,
}

impl View<'_> {
    /// The anchor of a device, if it is on the page.
    fn anchor(&self, device: usize) -> Option<String> {
        (device < device::MOST).then(|| format!("{}-{device}", self.letter))
    }
}

/// The page about some streams: of two it shows what differs, else each for itself.
#[must_use]
pub fn page(subjects: &[Subject<'_>]) -> String {
    let views: Vec<View<'_>> = ('a'..='z')
        .cycle()
        .zip(subjects)
        .map(|(letter, subject)| View {
            letter,
            name: subject.name,
            reading: subject.reading,
            document: Document::new(&subject.reading),
        })
        .collect();
    let title = views.iter().map(|view| view.name).collect::<Vec<_>>().join(", ");
    let body = match views.as_slice() {
        [a, b] => diff::diff(a, b),
        views => html! { @for view in views { (stream(view)) } },
    };
    skeleton(&title, &body).into_string()
}

/// All of one stream.
fn stream(view: &View<'_>) -> Markup {
    html! {
        (head::head(view))
        (findings::findings(view))
        (map::map(view))
        (ram::ram(view))
        (device::devices(view))
        (sections::sections(view))
    }
}

/// What every page has. The policy keeps it from loading anything, whatever a stream made it say.
fn skeleton(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                meta name="color-scheme" content="light dark";
                title { (Text(title)) " – vmig report" }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                main { (body) }
                footer { "vmig " (env!("CARGO_PKG_VERSION")) }
            }
        }
    }
}
