//! Socket device as it runs (virtio 1.3 §5.10): stream sockets between a guest and its host. Its state is in core and
//! transport alone: [`Vsock`](super::no_state::Vsock).
//!
//! ```text
//!  guest ──tx──►  packets ──► connections, with their credit ──► VsockStream ─┐
//!  guest ◄──rx──                                            ◄── VsockStream ◄─┴─ VsockHost: in memory, or Unix sockets
//!  guest ◄─event─ transport reset, after a migration
//! ```
//!
//! Connections end when the device is stopped: their other ends are of the host that the guest leaves. After it has
//! come to another, the driver is told so, and connects anew.

mod connection;
mod connections;
mod credit;
pub mod host;
mod live;
pub mod memory;
mod packet;
pub mod unix;

pub use live::LiveVsock;
