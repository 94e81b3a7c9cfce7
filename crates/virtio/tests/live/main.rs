//! Devices that run: what each does for its driver, and that it does the same after a migration.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that cannot go on fails"
)]

mod balloon;
mod bench;
mod blk;
mod console;
mod devices;
mod hostile;
mod input;
mod net;
mod rng;
mod scsi;
mod scsi_hostile;
mod victim;
mod vsock;
