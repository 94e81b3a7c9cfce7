//! A virtqueue drawn as the ring it is, entry 0 at the top, clockwise.
//!
//! ```text
//!  used_idx ──── in flight ────▶ last_avail_idx ──── offered ────▶ avail_idx
//!  the device has returned all   taken by the      waiting for     the driver has
//!  before this                   device            the device      offered all before this
//! ```

use maud::{Markup, html};

use super::text::Text;
use crate::document::QueueDoc;

/// Entries drawn one by one; of a larger ring each mark stands for several.
const MARKS: u64 = 64;
/// The least of a ring that an arc covers, as a part of it: one of 1,024 entries must be seen.
const LEAST: u64 = 40;
/// The same of a ring as small as a letter.
const LEAST_AT_A_GLANCE: u64 = 7;
/// Rings drawn; of more, those in which something happens.
const MOST: usize = 64;
/// Rings drawn small.
const MOST_AT_A_GLANCE: usize = 12;

/// Where something begins in a ring, and how many entries it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Arc {
    start: u64,
    length: u64,
}

/// The rings of a device.
pub(super) fn rings(queues: &[QueueDoc]) -> Markup {
    let set_up = queues.iter().filter(|queue| queue.is_set_up());
    let is_many = set_up.clone().count() > MOST;
    let drawn: Vec<_> = set_up.clone().filter(|queue| !is_many || queue.is_busy()).take(MOST).collect();
    let quiet = set_up.count() - drawn.len();
    let unused = queues.iter().filter(|queue| !queue.is_set_up()).count();
    html! {
        @if !queues.is_empty() {
            h4 { "Queues" }
            @if !drawn.is_empty() { div.rings { @for queue in drawn { (ring(queue)) } } }
            @if quiet > 0 { p.note { "… and " (quiet) " more that are set up; vmig inspect shows them" } }
            @if unused > 0 { p.note { (unused) " not set up by the driver (size " (sizes(queues)) ")" } }
        }
    }
}

/// Rings as small as a letter, for a glance.
pub(super) fn glance(queues: &[QueueDoc]) -> Markup {
    let set_up = queues.iter().filter(|queue| queue.is_set_up());
    let more = set_up.clone().count().saturating_sub(MOST_AT_A_GLANCE);
    html! {
        span.glance {
            @for queue in set_up.take(MOST_AT_A_GLANCE) {
                svg viewBox="-50 -50 100 100" role="img" aria-label=(Text(&queue.words())) {
                    title { (Text(&queue.words())) }
                    (circles(queue, LEAST_AT_A_GLANCE))
                }
            }
            @if more > 0 { small { "+" (more) } }
        }
    }
}

/// What the parts of a drawing mean.
pub(super) fn legend() -> Markup {
    html! {
        ul.legend.rings-legend {
            li { span.swatch.inflight {} " in flight: taken by the device and not returned" }
            li { span.swatch.offered {} " offered: waits for the device" }
            li { span.glyph.used { "▲" } " used_idx" }
            li { span.glyph.last-avail { "▼" } " last_avail_idx" }
            li { span.glyph.avail { "▽" } " avail_idx" }
        }
    }
}

/// One ring: the drawing, and its numbers beside it.
pub(super) fn ring(queue: &QueueDoc) -> Markup {
    let number = |value: Option<u64>| value.map_or_else(|| "—".to_owned(), |value| value.to_string());
    let wrap = |bit: Option<bool>| bit.map_or("", |bit| if bit { " w1" } else { " w0" });
    html! {
        figure.ring {
            (drawing(queue))
            figcaption {
                p.name { span { "#" (queue.index) } " " b { (Text(&queue.name)) } }
                dl {
                    dt { "size" }
                    dd { (queue.size) @if queue.size_default != queue.size { small { " (default " (queue.size_default) ")" } } }
                    dt { span.glyph.used { "▲" } " used" }
                    dd { (number(queue.used_idx.map(u64::from))) (wrap(queue.wrap.as_ref().map(|wrap| wrap.used))) }
                    dt { span.glyph.last-avail { "▼" } " last avail" }
                    dd { (queue.last_avail_idx) (wrap(queue.wrap.as_ref().map(|wrap| wrap.avail))) }
                    @if queue.wrap.is_none() {
                        dt { span.glyph.avail { "▽" } " avail" }
                        dd { (number(queue.avail_idx.map(u64::from))) }
                    }
                    dt { "in flight" }
                    dd.busy[queue.inuse.is_some_and(|inuse| inuse > 0)] { (number(queue.inuse.map(u64::from))) }
                    @if let Some(offered) = queue.offered() { dt { "offered" } dd { (offered) } }
                    dt { "vector" }
                    dd { (number(queue.vector.map(u64::from))) }
                }
                p.at {
                    "desc " (queue.desc) " "
                    @if queue.wrap.is_some() { "driver " (queue.avail) " device " (queue.used) }
                    @else { "avail " (queue.avail) " used " (queue.used) }
                }
            }
        }
    }
}

/// The drawing. Lengths along the circle are entries: `pathLength` makes them so.
fn drawing(queue: &QueueDoc) -> Markup {
    let size = u64::from(queue.size.max(1));
    let words = queue.words();
    let place = |index: u16| (u64::from(index) % size) as f64 * 360.0 / size as f64;
    let turn = |index: u16| format!("rotate({:.2})", place(index));
    let marks = size.min(MARKS);
    html! {
        svg viewBox="-50 -50 100 100" role="img" aria-label=(Text(&words)) {
            title { (Text(&words)) }
            (circles(queue, LEAST))
            circle.marks r="34" pathLength=(marks * 10) stroke-dasharray="1 9" transform="rotate(-90)" {}
            @if let Some(index) = queue.avail_idx { path.avail d="M0-43l-4.5-6h9z" transform=(turn(index)) {} }
            path.last-avail d="M0-43l-4.5-6h9z" transform=(turn(queue.last_avail_idx)) {}
            @if let Some(index) = queue.used_idx { path.used d="M0-25l-4.5 6h9z" transform=(turn(index)) {} }
            @match queue.inuse {
                Some(inuse) => {
                    text.number y="2" { (inuse) }
                    text.unit y="11" { "in flight" }
                }
                None => {
                    text.number y="2" { "?" }
                    text.unit y="11" { "not in the stream" }
                }
            }
        }
    }
}

/// The ring, and what of it is in flight and offered.
fn circles(queue: &QueueDoc, least: u64) -> Markup {
    let size = u64::from(queue.size.max(1));
    html! {
        circle.track r="34" {}
        @if let Some(arc) = queue.offered_arc() { (self::arc("offered", arc, size, least)) }
        @if let Some(arc) = queue.in_flight_arc() { (self::arc("inflight", arc, size, least)) }
    }
}

fn arc(class: &str, arc: Arc, size: u64, least: u64) -> Markup {
    let length = arc.length.max(size.div_ceil(least)).min(size);
    html! {
        circle.(class) r="34" pathLength=(size) stroke-dasharray={ (length) " " (size - length) }
            stroke-dashoffset=(-i128::from(arc.start)) transform="rotate(-90)" {}
    }
}

fn sizes(queues: &[QueueDoc]) -> String {
    let sizes = || queues.iter().filter(|queue| !queue.is_set_up()).map(|queue| queue.size);
    match (sizes().min(), sizes().max()) {
        (Some(min), Some(max)) if min != max => format!("{min} to {max}"),
        (size, _) => size.unwrap_or_default().to_string(),
    }
}

impl QueueDoc {
    /// Entries that the driver has offered and the device has not taken, if that is known.
    #[must_use]
    pub fn offered(&self) -> Option<u16> {
        Some(self.avail_idx?.wrapping_sub(self.last_avail_idx))
    }

    /// Whether the driver has set the queue up.
    #[must_use]
    pub fn is_set_up(&self) -> bool {
        self.desc != "0x0"
    }

    fn is_busy(&self) -> bool {
        self.inuse.is_none_or(|inuse| inuse > 0) || self.offered().is_some_and(|offered| offered > 0)
    }

    fn in_flight_arc(&self) -> Option<Arc> {
        let (used_idx, inuse) = (self.used_idx?, self.inuse.filter(|&inuse| inuse > 0)?);
        let size = u64::from(self.size.max(1));
        let start = u64::from(used_idx) % size;
        let length = match &self.wrap {
            None => u64::from(inuse),
            // In a packed ring an element may be several descriptors: the indexes show how many.
            Some(wrap) => match (u64::from(self.last_avail_idx) % size + size - start) % size {
                0 if wrap.avail != wrap.used => size,
                0 => u64::from(inuse),
                length => length,
            },
        };
        Some(Arc { start, length: length.min(size) })
    }

    fn offered_arc(&self) -> Option<Arc> {
        let size = u64::from(self.size.max(1));
        let length = u64::from(self.offered().filter(|&offered| offered > 0)?).min(size);
        Some(Arc { start: u64::from(self.last_avail_idx) % size, length })
    }

    /// The drawing in words.
    fn words(&self) -> String {
        let in_flight = match self.inuse {
            Some(inuse) => format!("{inuse} in flight"),
            None => "ring memory is not in the stream".to_owned(),
        };
        let offered = self.offered().map(|offered| format!(", {offered} offered")).unwrap_or_default();
        format!("{}, a ring of {} entries: {in_flight}{offered}", self.name, self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::WrapDoc;

    fn queue(size: u32, used: u16, last_avail: u16, avail: Option<u16>) -> QueueDoc {
        QueueDoc {
            index: 0,
            name: "requestq".into(),
            size,
            size_default: size,
            desc: "0x1000".into(),
            avail: "0x2000".into(),
            used: "0x3000".into(),
            last_avail_idx: last_avail,
            avail_idx: avail,
            used_idx: Some(used),
            inuse: Some(u32::from(last_avail.wrapping_sub(used))),
            vector: None,
            wrap: None,
        }
    }

    #[test]
    fn arcs_go_from_used_to_taken_to_offered() {
        let queue = queue(256, 65_535, 2, Some(10));
        assert_eq!(queue.in_flight_arc(), Some(Arc { start: 255, length: 3 }));
        assert_eq!(queue.offered_arc(), Some(Arc { start: 2, length: 8 }));
        assert_eq!(queue.words(), "requestq, a ring of 256 entries: 3 in flight, 8 offered");
    }

    #[test]
    fn a_full_packed_ring_is_all_in_flight() {
        let full = QueueDoc {
            inuse: Some(2),
            wrap: Some(WrapDoc { avail: false, used: true }),
            ..queue(8, 3, 3, None)
        };
        assert_eq!(full.in_flight_arc(), Some(Arc { start: 3, length: 8 }));
        assert_eq!(full.offered_arc(), None);
    }

    #[test]
    fn indexes_that_cannot_be_stay_in_the_ring() {
        let wild = queue(4, 0, 60_000, Some(59_999));
        assert_eq!(wild.in_flight_arc(), Some(Arc { start: 0, length: 4 }));
        assert_eq!(wild.offered_arc(), Some(Arc { start: 0, length: 4 }));
        assert!(!drawing(&queue(0, 5, 9, None)).into_string().contains("NaN"));
    }
}
