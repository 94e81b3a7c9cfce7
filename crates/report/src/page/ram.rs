//! RAM: each block as a strip that shows which of its pages have content.

use maud::{Markup, html};
use vmstate::ram::{Content, Ram};

use super::View;
use super::text::{Text, bytes, count, percent};

/// Pieces a strip is made of; each stands for as many pages.
const CELLS: u64 = 240;
/// Blocks shown.
const MOST: usize = 32;

/// What the pages of a cell hold, on the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Absent,
    Zero,
    Some,
    Half,
    Full,
}

/// Pages of a cell, by what they hold.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    data: u64,
    zero: u64,
}

/// The blocks of RAM.
pub(super) fn ram(view: &View<'_>) -> Markup {
    let Some(ram) = &view.reading.stream.ram else { return html! {} };
    let all: u64 = ram.blocks.iter().fold(0, |sum, block| sum.saturating_add(block.bytes));
    html! {
        section.ram aria-label="RAM" {
            h2 { "RAM" }
            p {
                (ram.normal) " pages with content, " (ram.zero) " zero"
                @if ram.xbzrle > 0 { ", " (ram.xbzrle) " with changes (XBZRLE)" }
                " (pages of " (bytes(ram.page_size)) "; what was sent twice counts twice)"
                @if ram.multifd { ". Pages that went over other channels (multifd) are not in the stream" }
                "."
            }
            ul.blocks {
                @for (index, block) in ram.blocks.iter().enumerate().take(MOST) {
                    li {
                        span.name { (Text(&block.name)) }
                        span.size { (bytes(block.bytes)) small { " " (format!("{:.1} %", percent(block.bytes, all))) } }
                        (strip(ram, index, block.bytes))
                    }
                }
                @if ram.blocks.len() > MOST { li { "… and " (count(ram.blocks.len() - MOST, "block", "blocks")) " more" } }
            }
            ul.legend {
                li { span.swatch.full {} " content" }
                li { span.swatch.some {} " some content" }
                li { span.swatch.zero {} " zero" }
                li { span.swatch.absent {} " not in the stream" }
            }
        }
    }
}

fn strip(ram: &Ram, block: usize, block_bytes: u64) -> Markup {
    let pages = block_bytes.div_ceil(ram.page_size.max(1));
    let cells = cells(ram, block, pages);
    let of = |level| path(&cells, level);
    let width = cells.len();
    let data: u64 = cells.iter().map(|cell| cell.data).sum();
    let zero: u64 = cells.iter().map(|cell| cell.zero).sum();
    let label = format!(
        "{pages} pages: {data} with content, {zero} zero, {} not in the stream",
        pages.saturating_sub(data + zero)
    );
    html! {
        svg.strip viewBox={ "0 0 " (width) " 1" } preserveAspectRatio="none" role="img" aria-label=(label) {
            title { (label) }
            @for (level, class) in [(Level::Zero, "zero"), (Level::Some, "some"), (Level::Half, "half"), (Level::Full, "full")] {
                @let path = of(level);
                @if !path.is_empty() { path.(class) d=(path) {} }
            }
        }
    }
}

/// Counts the pages of each cell.
fn cells(ram: &Ram, block: usize, pages: u64) -> Vec<Cell> {
    let count = CELLS.min(pages.max(1));
    let mut cells = vec![Cell::default(); usize::try_from(count).unwrap_or_default()];
    // The first page of a cell; in 128 bits, since a block may claim any size.
    let first = |cell: u64| {
        u64::try_from(u128::from(cell) * u128::from(pages) / u128::from(count)).unwrap_or(u64::MAX)
    };
    for run in ram.runs(block) {
        let end = run.end().min(pages);
        let cell_of = u128::from(run.first) * u128::from(count) / u128::from(pages.max(1));
        let mut at = run.first;
        // Rounding may put the page at the end of the cell before.
        let mut cell = u64::try_from(cell_of).unwrap_or_default();
        while at < end {
            let stop = first(cell + 1).min(end).max(at);
            if let Some(cell) = usize::try_from(cell).ok().and_then(|cell| cells.get_mut(cell)) {
                match run.content {
                    Content::Zero => cell.zero += stop - at,
                    Content::Data { .. } => cell.data += stop - at,
                }
            }
            at = stop;
            cell += 1;
            if cell > count {
                break;
            }
        }
    }
    cells
}

impl Cell {
    fn level(self) -> Level {
        match (self.data, self.data + self.zero) {
            (0, 0) => Level::Absent,
            (0, _) => Level::Zero,
            (data, all) if data * 4 <= all => Level::Some,
            (data, all) if data * 4 <= all * 3 => Level::Half,
            _ => Level::Full,
        }
    }
}

/// The cells of one level as a path; neighbours are one rectangle.
fn path(cells: &[Cell], level: Level) -> String {
    let mut path = String::new();
    let mut start = None;
    for at in 0..=cells.len() {
        match (start, cells.get(at).is_some_and(|cell| cell.level() == level)) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                path.push_str(&format!("M{from} 0H{at}V1H{from}Z"));
                start = None;
            }
            _ => {}
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_rectangle() {
        let full = Cell { data: 4, zero: 0 };
        let zero = Cell { data: 0, zero: 4 };
        let cells = [full, full, zero, Cell::default(), full];
        assert_eq!(path(&cells, Level::Full), "M0 0H2V1H0ZM4 0H5V1H4Z");
        assert_eq!(path(&cells, Level::Zero), "M2 0H3V1H2Z");
        assert_eq!(path(&cells, Level::Half), "");
    }
}
