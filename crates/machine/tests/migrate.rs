//! A guest moves between machines while it works, and nothing is lost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod common;

use std::time::Duration;

use common::{Style, World, hop, settle};
use machine::guest::Options;

#[test]
fn a_guest_moves_while_it_works() {
    let world = World::new();
    let options = Options { dirty_bytes: 8 << 20, dirty_pages: 8, ..Options::default() };
    let mut host = world.booted(Style::default(), options);
    for _ in 0..3 {
        host = hop(&world, host, Style::default(), Duration::from_millis(50));
    }
    let report = settle(&host);
    assert_eq!((report.bad, report.lost_interrupts), (0, 0), "{report:?}");
    assert!(report.entropy > 0 && report.page_writes > 2048, "{report:?}");
    assert_eq!(host.machine().inspect_pages().unwrap(), 0);
}
