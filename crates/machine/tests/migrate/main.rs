//! A guest moves between machines while it works, and nothing is lost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod common;
mod postcopy;

use common::{Style, World, hop, settle};
use machine::guest::Options;
use virtio::transport::TransportKind;

/// How long the guest works between two moves.
const MOMENTS: u64 = 600;

fn moves(style: Style) {
    let world = World::new();
    let options = Options { dirty_bytes: 8 << 20, dirty_pages: 8, ..Options::default() };
    let mut host = world.booted(style, options);
    for _ in 0..5 {
        host = hop(&world, host, style, MOMENTS);
    }
    let report = settle(&world, &host, MOMENTS);
    world.verify(&report);
    assert!(report.entropy > 0 && report.page_writes > 2048 && report.frames > 0, "{report:?}");
    assert_eq!((report.announced, report.transport_resets), (5, 5));
    assert!(report.connections == 6 && report.messages > 6, "{report:?}");
    assert!(report.inflated > 0 && report.deflated > 0, "{report:?}");
    assert_eq!(host.machine().inspect_pages().unwrap(), 0);
}

#[test]
fn over_mmio_with_split_rings() {
    moves(Style { transport: TransportKind::Mmio, packed: false });
}

#[test]
fn over_mmio_with_packed_rings() {
    moves(Style { transport: TransportKind::Mmio, packed: true });
}

#[test]
fn over_pci_with_split_rings() {
    moves(Style { transport: TransportKind::Pci, packed: false });
}

#[test]
fn over_pci_with_packed_rings() {
    moves(Style { transport: TransportKind::Pci, packed: true });
}
