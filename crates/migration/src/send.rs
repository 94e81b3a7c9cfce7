//! Sending a stream that is there: a file, or a guest that is held.

use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use vmstate::source::Source;
use vmstate::stream::Stream;

use crate::channel::{Channel, Patience, ReadHalf, WriteHalf};
use crate::clock::{Clock, ended};
use crate::count::Counter;
use crate::error::{Cause, Error};
use crate::event::{Observer, Side, State, Summary};
use crate::multifd::{Common, Compression, Senders};
use crate::outgoing::{Options, Outgoing, Sent, await_acknowledgement};
use crate::peer::Peer;

/// How long a destination that takes no more may take to say why.
pub(crate) const LAST_WORD: Duration = Duration::from_secs(2);

/// Sends a stream, and waits until the destination has acknowledged it, if its channel has a way back.
///
/// # Errors
/// If the stream is not complete, the destination goes away, or does not take the guest.
pub fn send(
    stream: &Stream,
    source: &dyn Source,
    to: Peer,
    options: Options,
    observer: &dyn Observer,
) -> Result<Summary, Error> {
    let clock = Clock::new(observer);
    let counter = Counter::default();
    let sent = deliver(stream, source, to, options, &counter, &clock);
    match &sent {
        Ok(sent) => {
            clock.note(|moments| {
                (moments.ram, moments.devices) = (Some(sent.ram), Some(sent.devices));
                moments.sent = Some(sent.devices);
            });
            ended(observer, Side::Out, State::Completed);
        }
        Err(error) => ended(observer, Side::Out, error.ends_as()),
    }
    sent.map(|_| clock.summary(counter.progress(), Vec::new()))
}

/// Sends a stream to a peer; the destination has it when this returns, and nobody has been told.
pub(crate) fn deliver(
    stream: &Stream,
    source: &dyn Source,
    to: Peer,
    options: Options,
    counter: &Counter,
    observer: &dyn Observer,
) -> Result<Sent, Error> {
    let Peer { main, others, .. } = to;
    let return_path = main.is_duplex();
    let (mut back, mut out) = main.split();
    let Options { bandwidth, compression } = options;
    let outgoing = Outgoing { stream, source, return_path, bandwidth, counter, observer };
    let sent = send_over(&outgoing, &mut out, others, compression);
    let sent = sent.map_err(|error| last_word(error, &mut back, return_path))?;
    await_end(back, out, return_path)?;
    Ok(sent)
}

/// Sends a stream over its main channel, and its pages over others if there are any.
fn send_over(
    outgoing: &Outgoing<'_>,
    main: &mut WriteHalf,
    others: Vec<Channel>,
    compression: Compression,
) -> Result<Sent, Error> {
    let Some(ram) = outgoing.stream.ram.as_ref().filter(|_| !others.is_empty()) else {
        return outgoing.send(main, None);
    };
    let common = Common {
        blocks: &ram.blocks,
        page_size: ram.page_size,
        compression,
        counter: outgoing.counter,
        failure: Mutex::default(),
        packets: AtomicU64::new(0),
    };
    thread::scope(|scope| outgoing.send(main, Some(Senders::start(scope, others, &common))))
}

/// Why sending failed: a destination that went away may have said why.
pub(crate) fn last_word(error: Error, back: &mut ReadHalf, return_path: bool) -> Error {
    if !matches!(error.cause, Cause::Io(_)) || !return_path || error.cause.is_cancelled() {
        return error;
    }
    back.set_patience(Patience::any_within(LAST_WORD));
    match await_acknowledgement(back) {
        Err(cause @ (Cause::NotTaken { .. } | Cause::NotAcknowledged)) => cause.at(Side::Out, error.state),
        _ => error,
    }
}

/// Waits until the destination has the guest, and closes the channel.
pub(crate) fn await_end(mut back: ReadHalf, out: WriteHalf, return_path: bool) -> Result<(), Error> {
    let failed = |state| move |cause: Cause| cause.at(Side::Out, state);
    if return_path {
        back.set_patience(Patience::ENDLESS);
        await_acknowledgement(&mut back).map_err(failed(State::Device))?;
    }
    let closed = out.close().and_then(|()| back.close()).map_err(Cause::from);
    // Whoever acknowledged has the guest; only of a one-way channel nothing else is known.
    if return_path { Ok(()) } else { closed.map_err(failed(State::Completed)) }
}
