//! The stream as a map, to scale: once whole, and once what follows RAM, where the devices are.
//!
//! A bar is an SVG of nested SVGs whose places are shares of its width, so that it fits any screen and its
//! labels keep their size.

use std::collections::HashMap;

use maud::{Markup, html};
use virtio::guest::{Content, Guest};
use vmstate::stream::{Section, Stream};

use super::View;
use super::text::{Text, bytes, count, percent};

/// Pieces of a bar, at most.
const MOST: usize = 100;
/// Share of a bar below which neighbours are put together, in percent.
const SMALL: f64 = 1.2;
/// Bytes of a section's footer.
const FOOTER: u64 = 5;

/// What a piece of the stream holds, which its colour shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Ram,
    Virtio,
    Other,
    Frame,
    Mixed,
}

/// A piece of the stream.
#[derive(Debug, Clone)]
struct Piece {
    holds: Holds,
    name: String,
    offset: u64,
    bytes: u64,
    /// How many sections it is.
    sections: usize,
    /// The device, if it is one's section.
    device: Option<usize>,
}

/// The map of a stream.
pub(super) fn map(view: &View<'_>) -> Markup {
    html! {
        section.map aria-label="Map of the stream" {
            h2 { "The stream, to scale" }
            (bars(view, view.reading.stream.bytes))
            (legend(&pieces(view), view.reading.stream.bytes))
        }
    }
}

/// The bars of a stream, where the whole width stands for `whole` bytes.
pub(super) fn bars(view: &View<'_>, whole: u64) -> Markup {
    let pieces = pieces(view);
    let end = view.reading.stream.bytes;
    let after_ram = pieces.iter().rposition(|piece| piece.holds == Holds::Ram).map_or(0, |at| at + 1);
    let (_, rest) = pieces.split_at_checked(after_ram).unwrap_or_default();
    let from = rest.first().map_or(end, |piece| piece.offset);
    let has_ram = after_ram > 0;
    html! {
        @if has_ram {
            (bar(&merged(&pieces, |a, b| a.holds == b.holds), 0, whole, view, "The whole stream"))
        }
        @if !rest.is_empty() && from < end {
            @if has_ram {
                svg.zoom viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" {
                    path d={ "M" (round(percent(from, whole))) " 0H" (round(percent(end, whole))) "L100 10H0Z" } {}
                }
            }
            (bar(&grouped(rest, end - from), from, end - from, view, if has_ram { "What follows RAM" } else { "The whole stream" }))
        }
    }
}

fn bar(pieces: &[Piece], from: u64, whole: u64, view: &View<'_>, name: &str) -> Markup {
    let label = format!("{name}: {}", pieces.iter().map(Piece::words).collect::<Vec<_>>().join("; "));
    html! {
        svg.bar role="img" aria-label=(Text(&label)) {
            @for piece in pieces {
                @let share = percent(piece.bytes, whole);
                svg x={ (round(percent(piece.offset.saturating_sub(from), whole))) "%" } width={ (round(share)) "%" } height="100%" {
                    @match piece.device.and_then(|device| view.anchor(device)) {
                        Some(anchor) => a href={ "#" (anchor) } { (piece.draw(share)) },
                        None => (piece.draw(share)),
                    }
                }
            }
        }
    }
}

impl Piece {
    /// Name, size and place in words.
    fn words(&self) -> String {
        format!("{}, {} at {:#x}", self.name, bytes(self.bytes), self.offset)
    }

    fn draw(&self, share: f64) -> Markup {
        let short = self.name.rsplit('/').next().unwrap_or_default();
        // The colour says that it is virtio.
        let short = if self.device.is_some() { short.trim_start_matches("virtio-") } else { short };
        // A character takes about 0.75 % of a wide screen and 2 % of a phone's.
        let characters = short.chars().count() as f64;
        let class = match share {
            share if share > 3.0 + characters * 2.0 => "",
            share if share > 1.2 + characters * 0.75 => "wide",
            _ => "none",
        };
        html! {
            title { (Text(&self.words())) }
            rect.(self.holds.class()) width="100%" height="100%" {}
            @if class != "none" { text.(class) x="6" y="50%" dy="0.35em" { (Text(short)) } }
        }
    }

    fn end(&self) -> u64 {
        self.offset.saturating_add(self.bytes)
    }
}

impl Holds {
    fn class(self) -> &'static str {
        match self {
            Self::Ram => "ram",
            Self::Virtio => "virtio",
            Self::Other => "other",
            Self::Frame => "frame",
            Self::Mixed => "mixed",
        }
    }
}

/// The stream from its first byte to its last. Parts of RAM that follow one another are one piece.
fn pieces(view: &View<'_>) -> Vec<Piece> {
    let Stream { bytes: end, description, .. } = view.reading.stream;
    let devices: HashMap<u64, usize> =
        view.document.devices.iter().enumerate().map(|(index, device)| (device.offset, index)).collect();
    let mut pieces = vec![Piece::frame("header", 0, 0)];
    let mut last = 0;
    for section in view.reading.stream.sections() {
        close(&mut pieces, section.offset);
        last = section.body_end().saturating_add(if section.has_footer { FOOTER } else { 0 });
        pieces.push(Piece {
            holds: holds(view.reading.guest, section),
            name: if section.is_ram() { "RAM".to_owned() } else { section.name.clone() },
            offset: section.offset,
            bytes: 0,
            sections: 1,
            device: devices.get(&section.offset).copied(),
        });
    }
    close(&mut pieces, last.min(*end));
    if last < *end {
        let name = if description.is_some() { "description" } else { "end" };
        pieces.push(Piece::frame(name, last, end - last));
    }
    pieces.retain(|piece| piece.bytes > 0);
    merged(&pieces, |a, b| a.holds == Holds::Ram && b.holds == Holds::Ram)
}

impl Piece {
    fn frame(name: &str, offset: u64, bytes: u64) -> Self {
        Self { holds: Holds::Frame, name: name.to_owned(), offset, bytes, sections: 0, device: None }
    }
}

/// Lets the last piece end at `offset`: what lies between a section and the next belongs to it.
fn close(pieces: &mut [Piece], offset: u64) {
    if let Some(piece) = pieces.last_mut() {
        piece.bytes = offset.saturating_sub(piece.offset);
    }
}

fn holds(guest: &Guest, section: &Section) -> Holds {
    match guest.content(section) {
        _ if section.is_ram() => Holds::Ram,
        Some(Ok(Content::Device(_) | Content::Companion(_))) => Holds::Virtio,
        _ => Holds::Other,
    }
}

/// Puts small neighbours together, and more of them until there are few enough to be drawn.
fn grouped(pieces: &[Piece], whole: u64) -> Vec<Piece> {
    let mut small = SMALL;
    loop {
        let is_small = |piece: &Piece| percent(piece.bytes, whole) < small;
        let groups = merged(pieces, |a, b| is_small(b) && (a.sections > 1 || is_small(a)));
        if groups.len() <= MOST || small > 100.0 {
            return groups;
        }
        small *= 2.0;
    }
}

/// Puts neighbours together; `together` is asked about what there is so far and what follows.
fn merged(pieces: &[Piece], together: impl Fn(&Piece, &Piece) -> bool) -> Vec<Piece> {
    let mut all: Vec<Piece> = Vec::new();
    for piece in pieces {
        match all.last_mut() {
            Some(last) if together(last, piece) => {
                last.sections += piece.sections;
                last.bytes = piece.end().saturating_sub(last.offset);
                last.device = None;
                if last.holds != piece.holds {
                    last.holds = Holds::Mixed;
                }
                last.name = match last.holds {
                    Holds::Ram => "RAM".to_owned(),
                    Holds::Virtio => count(last.sections, "virtio section", "virtio sections"),
                    _ => count(last.sections, "section", "sections"),
                };
            }
            _ => all.push(piece.clone()),
        }
    }
    all
}

/// What the colours stand for, and how much there is of each.
fn legend(pieces: &[Piece], whole: u64) -> Markup {
    let kinds = [
        (Holds::Ram, "RAM"),
        (Holds::Virtio, "virtio devices"),
        (Holds::Other, "other sections"),
        (Holds::Frame, "header, end and description"),
    ];
    html! {
        ul.legend {
            @for (holds, name) in kinds {
                @let all = pieces.iter().filter(|piece| piece.holds == holds).map(|piece| piece.bytes).sum();
                @if all > 0 {
                    li { span.swatch.(holds.class()) {} " " (name) " " small { (bytes(all)) ", " (share(percent(all, whole))) } }
                }
            }
        }
    }
}

fn share(percent: f64) -> String {
    if percent < 0.1 { "under 0.1 %".to_owned() } else { format!("{percent:.1} %") }
}

fn round(percent: f64) -> f64 {
    (percent * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(sizes: &[u64]) -> Vec<Piece> {
        let mut offset = 0;
        let piece = |&bytes: &u64| {
            let piece =
                Piece { holds: Holds::Other, name: "s".into(), offset, bytes, sections: 1, device: None };
            offset += bytes;
            piece
        };
        sizes.iter().map(piece).collect()
    }

    #[test]
    fn small_neighbours_are_one_piece_and_none_is_lost() {
        let all = pieces(&[500, 1, 2, 3, 494]);
        let groups = grouped(&all, 1000);
        assert_eq!(
            groups.iter().map(|piece| (piece.sections, piece.bytes)).collect::<Vec<_>>(),
            [(1, 500), (3, 6), (1, 494)]
        );
    }

    #[test]
    fn ten_thousand_sections_are_few_pieces() {
        let sizes: Vec<u64> = (0..10_000).map(|at| if at % 2 == 0 { 5 } else { 4_000 }).collect();
        let whole = sizes.iter().sum();
        let groups = grouped(&pieces(&sizes), whole);
        assert!(groups.len() <= MOST, "{} pieces", groups.len());
        assert_eq!(groups.iter().map(|piece| piece.bytes).sum::<u64>(), whole);
    }
}
