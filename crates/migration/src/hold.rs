//! A guest that is held: taken whole, checked, and only then sent on.

use std::thread;

use vmstate::source::FileSource;
use vmstate::stream::Stream;

use crate::channel::{Cancel, Channel, Patience, ReadHalf, WriteHalf};
use crate::clock::{Clock, device_times, ended};
use crate::count::Counter;
use crate::error::{Cause, Error};
use crate::event::{Event, Observer, Side, State, Summary};
use crate::incoming::{Tail, Terms};
use crate::judge::Judge;
use crate::keep::memory_file;
use crate::outgoing::Options;
use crate::peer::Peer;
use crate::return_path::Message;
use crate::send::deliver;
use crate::take::take_mapped;

/// A guest that has arrived, and that its source still has.
#[derive(Debug)]
pub struct Held {
    /// The stream, as it is to go on.
    pub stream: Stream,
    /// Where it was scanned.
    pub source: FileSource,
    /// Whether the stream is not as it was scanned.
    pub is_changed: bool,
}

/// Who is told that it failed, or that all is well.
pub(crate) fn answer(back: &mut WriteHalf, outcome: Result<(), u32>) -> Result<(), Cause> {
    Ok(Message::Shut(outcome.err().unwrap_or(0)).write(back)?)
}

/// What the source is told when something failed here.
pub(crate) const FAILED: u32 = 1;

/// Takes a guest whole, checks it, and sends it on. The source keeps it until the destination has
/// acknowledged.
///
/// # Errors
/// If anything fails on the way: the source goes on running the guest then, and the destination never
/// started it.
pub fn relay(
    from: Peer,
    to: Peer,
    terms: Terms,
    options: Options,
    judge: &dyn Judge,
    save: &mut dyn FnMut(&Held) -> Result<(), Cause>,
    observer: &dyn Observer,
) -> Result<Summary, Error> {
    let clock = Clock::new(observer);
    let (mut main, mut back) = from.main.split();
    let counter = Counter::default();
    let others = (from.others, from.cancel.clone());
    let arrived = arrive(&mut main, &mut back, others, terms, &counter, judge, &clock);
    let done = arrived.and_then(|(held, tail)| {
        save(&held).map_err(|cause| cause.at(Side::In, State::Device))?;
        let times = device_times(&held.stream, &tail);
        drop(tail);
        // While it is sent the source may end it, and must not be left without its guest then.
        let (gone, source_gone) = (to.cancel.clone(), from.cancel.clone());
        main.set_patience(Patience::ENDLESS);
        let sent = thread::scope(|scope| {
            let watch = scope.spawn(move || {
                let left = matches!(main.peek(1), Ok([]));
                if left {
                    gone.cancel();
                }
                left
            });
            let sent = send_on(&held, to, options, &clock);
            match &sent {
                // Whoever acknowledged runs the guest: what comes after cannot change that.
                Ok(()) => acknowledge(&mut back, &clock),
                Err(_) => drop(answer(&mut back, Err(FAILED))),
            }
            // Nothing more is read: the watch ends.
            source_gone.cancel();
            let source_left = watch.join().unwrap_or(false);
            sent.map_err(|error| match error.cause.is_cancelled() && source_left {
                true => {
                    let before = "the destination had taken the guest";
                    Cause::Closed { offset: counter.progress().bytes, before }.at(Side::In, State::Device)
                }
                false => error,
            })
        });
        sent.map(|()| clock.summary(counter.progress(), times))
    });
    let state = done.as_ref().map_or_else(Error::ends_as, |_| State::Completed);
    ended(observer, Side::In, state);
    ended(observer, Side::Out, state);
    done
}

/// Tells the source that its guest is gone. The destination has it, whether the source hears of it or not.
pub(crate) fn acknowledge(back: &mut WriteHalf, observer: &dyn Observer) {
    back.see_through();
    if let Err(cause) = answer(back, Ok(())) {
        observer.event(Event::Warning { what: untold(&cause) });
    }
}

/// What is said if the source does not hear that its guest is gone.
pub(crate) fn untold(cause: &Cause) -> String {
    format!(
        "the destination has the guest, and the source could not be told ({cause}): see that it does not \
         go on there"
    )
}

/// Takes a guest whole, and checks it; the source waits for an answer then. If this fails it has been told.
pub(crate) fn arrive(
    main: &mut ReadHalf,
    back: &mut WriteHalf,
    channels: (Vec<Channel>, Cancel),
    terms: Terms,
    counter: &Counter,
    judge: &dyn Judge,
    clock: &Clock<'_>,
) -> Result<(Held, Tail), Error> {
    let here = |cause: Cause| cause.at(Side::In, State::Device);
    let arrive = || {
        let file = memory_file().map_err(Cause::Keep).map_err(here)?;
        let (tail, file) = take_mapped(main, &mut *back, file, channels, terms, counter, clock)?;
        clock.arrived(&tail);
        let source = FileSource::new(file).map_err(Cause::Keep).map_err(here)?;
        let held = judged(source, judge, clock).map_err(here)?;
        Ok((held, tail))
    };
    let arrived = arrive();
    if arrived.is_err() {
        drop(answer(back, Err(FAILED)));
    }
    arrived
}

/// Scans what was kept, and has it checked.
pub(crate) fn judged(source: FileSource, judge: &dyn Judge, clock: &Clock<'_>) -> Result<Held, Cause> {
    let _span = tracing::info_span!("check").entered();
    let scan = Stream::scan(&source, &mut |_| {});
    if let Some(error) = scan.stopped {
        return Err(error.into());
    }
    let finished = judge.finish(&scan.stream, &source)?;
    let mut is_changed = finished.is_some();
    let stream = finished.unwrap_or(scan.stream);
    let changed = judge.judge(&stream, &source)?;
    clock.note(|moments| moments.checked = Some(std::time::Instant::now()));
    is_changed |= changed.is_some();
    Ok(Held { stream: changed.unwrap_or(stream), source, is_changed })
}

/// Sends a guest that is held, and waits for the acknowledgement.
fn send_on(held: &Held, to: Peer, options: Options, clock: &Clock<'_>) -> Result<(), Error> {
    let counter = Counter::default();
    deliver(&held.stream, &held.source, to, options, &counter, clock).map(|sent| {
        clock.note(|moments| moments.sent = Some(sent.devices));
    })
}
