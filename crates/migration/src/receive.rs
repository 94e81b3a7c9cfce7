//! Receiving a guest into a file.

use std::fs::File;

use vmstate::source::FileSource;

use crate::clock::{Clock, device_times, ended};
use crate::count::Counter;
use crate::error::{Cause, Error};
use crate::event::{Observer, Side, State, Summary};
use crate::hold::{FAILED, Held, answer, judged};
use crate::incoming::Terms;
use crate::judge::Judge;
use crate::keep::Verbatim;
use crate::multifd::Receivers;
use crate::peer::Peer;
use crate::ram::Nowhere;
use crate::take::{take, take_mapped};

/// How a guest is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Every byte as it comes.
    Verbatim,
    /// Each page once, at a place of its own (`mapped-ram`).
    Mapped,
}

/// Takes a guest into an empty file, and checks it. `kept` makes it last; only then the source is told that
/// its guest is gone.
///
/// # Errors
/// If anything fails: the source goes on running the guest then.
pub fn receive(
    from: Peer,
    file: File,
    form: Form,
    terms: Terms,
    judge: &dyn Judge,
    kept: &mut dyn FnMut(&Held) -> Result<(), Cause>,
    observer: &dyn Observer,
) -> Result<Summary, Error> {
    let clock = Clock::new(observer);
    let counter = Counter::default();
    let answers = from.main.is_duplex();
    let (mut main, mut back) = from.main.split();
    let here = |cause: Cause| cause.at(Side::In, State::Device);
    let take_it = || {
        let (tail, file) = match form {
            Form::Verbatim => {
                if !from.others.is_empty() {
                    let what = "pages that come over channels of their own cannot be kept as they come; keep each \
                                once (--mapped-ram)";
                    return Err(Cause::Multifd(what.to_owned()).at(Side::In, State::Setup));
                }
                let channels = Receivers::none(&Nowhere, &counter);
                let sink = Verbatim::new(file);
                let (tail, copy) = take(&mut main, &mut back, sink, &channels, terms, &counter, &clock)?;
                let file = copy.finish(&tail).map_err(here)?;
                (tail, file)
            }
            Form::Mapped => {
                let channels = (from.others, from.cancel.clone());
                take_mapped(&mut main, &mut back, file, channels, terms, &counter, &clock)?
            }
        };
        clock.arrived(&tail);
        let source = FileSource::new(file).map_err(Cause::Keep).map_err(here)?;
        let held = judged(source, judge, &clock).map_err(here)?;
        kept(&held).map_err(here)?;
        Ok(clock.summary(counter.progress(), device_times(&held.stream, &tail)))
    };
    let taken: Result<Summary, Error> = take_it();
    let told = match (&taken, answers) {
        (_, false) => Ok(()),
        (Ok(_), true) => answer(&mut back, Ok(())),
        (Err(_), true) => {
            drop(answer(&mut back, Err(FAILED)));
            Ok(())
        }
    };
    let done = taken
        .and_then(|summary| told.map(|()| summary).map_err(|cause| cause.at(Side::In, State::Completed)));
    ended(observer, Side::In, done.as_ref().map_or_else(Error::ends_as, |_| State::Completed));
    done
}
