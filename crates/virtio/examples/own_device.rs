//! A device of one's own: its state is described once, and what a later version adds is a subsection.
//!
//! The rule of QEMU's streams: a struct's fields never change, or no other version could read them. What is new is a
//! subsection, which is there only if it is needed: so an old destination takes a new source's device as long as what
//! is new is not in use, and refuses it by name if it is.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "an example is short"
)]

use std::error::Error;

use vmstate::types::Counted;
use vmstate::{Described, Reader, VmState, Writer};

/// The device as it was first released: a pulse counter with a log.
#[derive(Debug, Default, PartialEq, VmState)]
#[vmstate(name = "acme-counter", version = 1)]
struct First {
    /// Pulses so far.
    pulses: u64,
    /// Whether it counts.
    running: bool,
    /// The last pulses, each in microseconds since the one before; at most 16.
    #[vmstate(max = 16)]
    log: Counted<u32, u32>,
}

/// The same, a release later: it can raise an alarm.
#[derive(Debug, Default, PartialEq, VmState)]
#[vmstate(name = "acme-counter", version = 1)]
struct Second {
    /// Pulses so far.
    pulses: u64,
    /// Whether it counts.
    running: bool,
    /// The last pulses, each in microseconds since the one before; at most 16.
    #[vmstate(max = 16)]
    log: Counted<u32, u32>,
    /// The alarm; needed if one is set.
    #[vmstate(subsection)]
    alarm: Option<Alarm>,
}

/// What the second release added.
#[derive(Debug, PartialEq, VmState)]
#[vmstate(name = "acme-counter/alarm", version = 1)]
struct Alarm {
    /// The count at which it is raised.
    at: u64,
    /// Whether it was.
    raised: bool,
}

/// The body of the device's section.
fn save<T: VmState>(state: &T) -> Vec<u8> {
    let mut out = Writer::new();
    VmState::<()>::save_body(state, &mut out);
    out.into_bytes()
}

/// Loads all of a section's body. Its bytes are not trusted: counts are bounded, and errors say where.
fn load<T: VmState + Described>(bytes: &[u8]) -> vmstate::Result<T> {
    let mut input = Reader::new(bytes, 0);
    let state = T::load_body(&mut input, T::DESCRIPTION.version, &())?;
    input.finish()?;
    Ok(state)
}

fn main() -> Result<(), Box<dyn Error>> {
    run()
}

pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let old = First { pulses: 7, running: true, log: vec![100, 250].into() };
    let without = Second { pulses: 7, running: true, log: vec![100, 250].into(), alarm: None };
    let with = Second { alarm: Some(Alarm { at: 10, raised: false }), ..Second::default() };

    // Old to new: the subsection is not there, and so not needed.
    assert_eq!(load::<Second>(&save(&old))?, without);
    // New to old: as long as no alarm is set, the bytes are the same.
    assert_eq!(load::<First>(&save(&without))?, old);
    // New to new: all of it.
    assert_eq!(load::<Second>(&save(&with))?, with);
    // New to old with an alarm set: refused, and the error names what is not known.
    let refused = load::<First>(&save(&with)).unwrap_err();
    println!("an old destination says: {refused}");

    // A hostile count is bounded by what the description says and by what the input can back.
    let mut hostile = save(&old);
    hostile[9..13].copy_from_slice(&u32::MAX.to_be_bytes());
    println!("a hostile stream: {}", load::<First>(&hostile).unwrap_err());

    // The description is also a schema, and the JSON that a stream carries at its end.
    println!("{}", serde_json::to_string_pretty(&VmState::<()>::describe_body(&with))?);
    Ok(())
}
