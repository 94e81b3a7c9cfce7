//! A guest that runs here leaves: pre-copy, and the acknowledgement. Until that comes, the guest is here; by post-copy
//! until it was handed over.

use std::cell::{Cell, OnceCell};

use crate::clock::{Clock, ended};
use crate::count::Counter;
use crate::error::Error;
use crate::event::{Event, Observer, Side, State, Summary};
use crate::guest::{DeviceSection, RunningGuest};
use crate::outgoing::{Gone, Limits, Precopy};
use crate::peer::Peer;
use crate::send::{await_end, last_word};

/// Sends a running guest away, while it runs. When this returns without an error the guest is stopped here and runs
/// there; with one it runs here, unless one of its devices could not be stopped or does not go on, or the error is
/// [`Cause::Lost`](crate::Cause::Lost): it is stopped then, and the destination may have run it.
///
/// # Errors
/// If a device cannot be stopped, the destination goes away, or does not take the guest.
pub fn depart(
    guest: &dyn RunningGuest,
    to: Peer,
    limits: Limits,
    observer: &dyn Observer,
) -> Result<Summary, Error> {
    let clock = Clock::new(observer);
    let counter = Counter::default();
    let (stopped, handed_over) = (OnceCell::new(), Cell::new(false));
    let gone = try_to(guest, (&stopped, &handed_over), to, limits, &counter, &clock);
    guest.throttle(0);
    if gone.is_err()
        && !handed_over.get()
        && let Some(sections) = stopped.get()
        && let Err(cause) = guest.resume(sections)
    {
        let what = format!("the guest is here, and cannot go on: {cause}");
        observer.event(Event::Warning { what });
    }
    let state = gone.as_ref().map_or_else(Error::ends_as, |_| State::Completed);
    ended(observer, Side::Out, state);
    gone.map(|gone| {
        let postcopy = gone.runs_there.map(|it| it.late);
        Summary { postcopy, ..clock.summary(counter.progress(), gone.device_times) }
    })
}

fn try_to(
    guest: &dyn RunningGuest,
    (stopped, handed_over): (&OnceCell<Vec<DeviceSection>>, &Cell<bool>),
    to: Peer,
    limits: Limits,
    counter: &Counter,
    clock: &Clock<'_>,
) -> Result<Gone, Error> {
    let return_path = to.main.is_duplex();
    let (mut back, mut out) = to.main.split();
    let precopy = Precopy { guest, stopped, handed_over, limits, return_path, counter, observer: clock };
    let gone = precopy.send(&mut out, &mut back).map_err(|error| last_word(error, &mut back, return_path))?;
    clock.note(|moments| {
        (moments.ram, moments.devices) = (Some(gone.sent.ram), Some(gone.sent.devices));
        moments.sent = Some(gone.sent.devices);
        moments.runs = gone.runs_there.map(|it| it.since);
    });
    match gone.runs_there {
        None => await_end(back, out, return_path)?,
        // Whoever acknowledged has the guest, however the channel closes.
        Some(_) => drop(out.close().and_then(|()| back.close())),
    }
    Ok(gone)
}
