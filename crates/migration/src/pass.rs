//! A guest that is passed on while it arrives: RAM goes straight through, device state is checked first.
//!
//! Three threads: one follows the stream and hands on what it has read, one writes that to the destination,
//! and one hands the destination's answers back to the source. What lies in between is bounded.

mod beside;
mod forward;
mod way_back;

use std::thread;
use std::time::{Duration, Instant};

use vmstate::Writer;
use vmstate::stream::{Stream, save_start};

use crate::channel::Patience;
use crate::clock::{Clock, device_times, ended};
use crate::count::Counter;
use crate::error::{Cause, Error};
use crate::event::{Event, Observer, Side, State, Summary};
use crate::incoming::{Incoming, PageChannels, Tail, Terms};
use crate::judge::Judge;
use crate::peer::Peer;
use beside::Beside;
use forward::Forward;
use way_back::WayBack;

/// The most bytes of device state that are held.
const LARGEST_TAIL: u64 = 24 << 20;

/// What a guest is passed on with.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// What is accepted of the source.
    pub terms: Terms,
    /// How long the destination may take to acknowledge.
    pub acknowledgement: Duration,
}

/// Passes a guest on while it arrives. Its last part goes only after it has been checked.
///
/// # Errors
/// If anything fails on the way: the source goes on running the guest then.
pub fn relay(
    from: Peer,
    to: Peer,
    options: Options,
    judge: &dyn Judge,
    copy: Option<std::fs::File>,
    observer: &dyn Observer,
) -> Result<Summary, Error> {
    let clock = Clock::new(observer);
    let counter = Counter::default();
    let (main, back) = from.main.split();
    let (mut answers, out) = to.main.split();
    answers.set_patience(Patience::ENDLESS);
    let way_back = WayBack::new(back);
    let terms = Terms { held: Some(LARGEST_TAIL), ..options.terms };
    let (here, there) = (from.others.len(), to.others.len());
    if here != there {
        let what = format!("{here} channels for pages come from the source, {there} go to the destination");
        return Err(Cause::Multifd(what).at(Side::Out, State::Setup));
    }
    let beside = Beside::default();
    let pairs: Vec<_> = from.others.into_iter().zip(to.others).collect();
    let broken = || {
        from.cancel.cancel();
        to.cancel.cancel();
    };

    let done: Result<Summary, Error> = thread::scope(|scope| {
        beside.start(scope, pairs, &counter, &broken);
        let answered = scope.spawn(|| {
            let answered = way_back.run(&mut answers, &clock);
            // A destination that fails does so at any time; nothing more is taken for it then.
            if !answered {
                from.cancel.cancel();
            }
        });
        let channels: Option<&dyn PageChannels> = (here > 0).then_some(&beside);
        let mut incoming = Incoming::new(main, terms, &counter, &clock).with_channels(channels);
        let passed = thread::scope(|scope| {
            let mut forward = Forward::start(scope, out, judge, copy);
            let tail = incoming.run(&mut forward)?;
            clock.arrived(&tail);
            clock.event(Event::State { side: Side::Out, state: State::Device });
            let here = |cause: Cause| cause.at(Side::In, State::Device);
            let (stream, bytes) = judged(&forward, &tail, judge).map_err(here)?;
            clock.note(|moments| moments.checked = Some(Instant::now()));
            way_back.may_acknowledge();
            let there = |cause: Cause| cause.at(Side::Out, State::Device);
            forward.finish(bytes, &tail).map_err(there)?;
            clock.note(|moments| moments.sent = Some(Instant::now()));
            Ok((stream, tail))
        });
        let acknowledged = passed.and_then(|(stream, tail)| {
            let there = |cause: Cause| cause.at(Side::Out, State::Device);
            way_back.wait(options.acknowledgement).map_err(there)?;
            Ok(clock.summary(counter.progress(), device_times(&stream, &tail)))
        });
        if acknowledged.is_err() {
            way_back.refuse();
            to.cancel.cancel();
            from.cancel.cancel();
        }
        beside.finish();
        let told = answered.join().is_ok();
        debug_assert!(told, "the way back does not panic");
        acknowledged
    });
    // What the destination said is the reason, not that the source was broken off for it.
    let done = done.map_err(|error: Error| match way_back.failure().or_else(|| beside.failure()) {
        Some(cause) if error.cause.is_cancelled() => cause.at(Side::Out, error.state),
        _ => error,
    });
    let state = done.as_ref().map_or_else(Error::ends_as, |_| State::Completed);
    ended(observer, Side::In, state);
    ended(observer, Side::Out, state);
    done
}

/// Checks the device state, and gives what is to be sent of it if that is not what came.
fn judged(
    forward: &Forward<'_, '_>,
    tail: &Tail,
    judge: &dyn Judge,
) -> Result<(Stream, Option<Vec<u8>>), Cause> {
    let mut start = Writer::new();
    save_start(forward.configuration(), &mut start);
    start.bytes(&tail.bytes);
    let source = start.into_bytes();
    let scan = Stream::scan(&source, &mut |_| {});
    if let Some(error) = scan.stopped {
        return Err(error.into());
    }
    let Some(changed) = judge.judge(&scan.stream, &source)? else { return Ok((scan.stream, None)) };
    let mut whole = Vec::new();
    changed.write(&source, &mut |_| None, &mut whole)?;
    let mut start = Writer::new();
    save_start(changed.configuration.as_ref(), &mut start);
    Ok((scan.stream, Some(whole.split_off(start.len().min(whole.len())))))
}
