//! The examples, run.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::duplicate_mod,
    reason = "examples are short, and each has what it shares with others"
)]

#[path = "../examples/accept_blk.rs"]
mod accept_blk;
#[path = "../examples/accept_scsi.rs"]
mod accept_scsi;
#[path = "../examples/own_device.rs"]
mod own_device;
#[path = "../examples/round_trip.rs"]
mod round_trip;
#[path = "../examples/virtio_queue.rs"]
mod virtio_queue_device;

#[test]
fn they_do_as_they_say() {
    own_device::run().unwrap();
    virtio_queue_device::run().unwrap();
    accept_blk::run().unwrap();
    accept_scsi::run().unwrap();
    round_trip::run("load", 1).unwrap();
    round_trip::run("save", 1).unwrap();
}
