//! A guest moves between machines while it works, and nothing is lost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod common;

use common::{Style, World, hop, hop_within, settle};
use machine::guest::Options;
use migration::guest::PostcopyHome;
use migration::outgoing::Limits;
use virtio::transport::TransportKind;
use vmstate::stream::PageSizes;

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

/// Two moves by post-copy, and one by pre-copy behind them: what was written after an arrival must be known as dirty.
#[test]
fn by_post_copy() {
    let style = Style { transport: TransportKind::Pci, packed: true };
    let world = World::new();
    let options = Options { dirty_bytes: 16 << 20, dirty_pages: 64, ..Options::default() };
    let mut host = world.booted(style, options);
    let sizes = PageSizes { blocks: 4096, target: 4096 };
    if let Err(error) = host.advise(sizes) {
        eprintln!("SKIPPED: no guest moves by post-copy here: {error}");
        return;
    }
    host.release();
    let limits = Limits { postcopy: Some(1), ..Limits::default() };
    for _ in 0..2 {
        let (next, gone, come) = hop_within(&world, host, style, MOMENTS, limits);
        host = next;
        let (gone, come) = (gone.postcopy.unwrap(), come.postcopy.unwrap());
        assert!(gone.bytes > 0 && gone.bytes == come.bytes, "{gone:?} {come:?}");
        // The guest touches its pages at once, and far more of them than go unasked in that time.
        assert!(come.requested > 0 && come.longest >= come.median, "{come:?}");
        assert!(gone.requested <= come.requested && !come.longest.is_zero(), "{gone:?} {come:?}");
    }
    host = hop(&world, host, style, MOMENTS);
    let report = settle(&world, &host, MOMENTS);
    world.verify(&report);
    assert!(report.page_writes > 4096 && report.frames > 0, "{report:?}");
    assert_eq!(report.announced, 3);
    assert_eq!(host.machine().inspect_pages().unwrap(), 0);
}
