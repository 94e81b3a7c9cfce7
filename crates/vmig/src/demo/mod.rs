//! `vmig demo`: a guest under load moves live from one process to another while you watch.
//!
//! ```text
//! vmig demo (the world)          host processes (vmig demo-host), one after the other
//!   disk image ───────────────────► block device
//!   a peer on the network ────────► network device           each has a machine; the guest is in one of them
//!   whoever reads the console ────► console
//!   an echo at a Unix socket ─────► socket device
//!   orders on standard input ─────► leave, say what you did
//!   ◄──── words on standard output: states, rounds, steps of the procedures, what was done
//! ```
//!
//! | module | what it is |
//! | --- | --- |
//! | [`protocol`] | orders and words |
//! | [`host`] | a host process |
//! | [`process`] | the same, as its parent has it |
//! | [`world`] | disk, network, console, and an echo for sockets: what stays where it is |
//! | [`play`] | what happens, in order |
//! | [`show`] | what is to be seen of it |

pub(crate) mod host;
pub(crate) mod play;
mod process;
pub(crate) mod protocol;
mod show;
mod steps;
mod world;
