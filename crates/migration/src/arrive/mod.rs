//! A guest comes into a machine of this process. It runs only once its source has been told that it is gone; by
//! post-copy once the source was told that all but RAM is here.

mod answers;
mod package;
mod postcopy;

use std::fs::File;
use std::io;
use std::thread::{self, Scope};
use std::time::Instant;

use vmstate::Writer;
use vmstate::ram::Block;
use vmstate::stream::{Command, Configuration, Head, Stream, save_start};

use crate::clock::{Clock, device_times, ended};
use crate::count::Counter;
use crate::error::{Cause, Error};
use crate::event::{DeviceTime, Observer, Side, State, Summary};
use crate::guest::Home;
use crate::hold::{FAILED, acknowledge, answer};
use crate::incoming::{Sink, Tail, Terms};
use crate::keep::{Mapped, MappedRam};
use crate::multifd::Receivers;
use crate::peer::Peer;
use crate::ram::{Page, RamSink};
use crate::take::take;
use answers::Answers;
use postcopy::{Blocks, Following};

/// Takes a guest in. When this returns without an error the source has given it up, and it may run; with one it must
/// not. A guest that comes by post-copy runs already. `copy` keeps the stream, each page once (`mapped-ram`), and is not
/// to be had with post-copy.
///
/// # Errors
/// If it is no guest for this machine, or anything fails on the way: the source goes on running it then, unless the
/// error is [`Cause::Lost`].
pub fn arrive(
    home: &dyn Home,
    from: Peer,
    terms: Terms,
    copy: Option<File>,
    observer: &dyn Observer,
) -> Result<Summary, Error> {
    let clock = Clock::new(observer);
    let counter = Counter::default();
    let answers = from.main.is_duplex();
    let (mut main, mut back) = from.main.split();
    let here = |cause: Cause| cause.at(Side::In, State::Device);
    let copy = copy.map(MappedRam::new);
    let way_back = Answers::new(&mut back);
    let count = (&clock, &counter);
    let following = home.postcopy().map(|it| Following::new(home, it, &way_back, count, main.breaker()));
    let following = following.as_ref();
    let taken = thread::scope(|scope| {
        let sink = Arriving {
            home,
            ram: Rams { home: home.ram(), copy: copy.as_ref(), following },
            copy: copy.as_ref().map(Mapped::new),
            configuration: None,
            blocks: Blocks::default(),
            scope,
        };
        let channels = Receivers::none(home.ram(), &counter);
        let take_it = || {
            let (tail, sink) = take(&mut main, &mut &way_back, sink, &channels, terms, &counter, &clock)?;
            if following.is_some_and(Following::is_active) {
                return Ok(Vec::new());
            }
            clock.arrived(&tail);
            sink.finish(&tail, &clock).map_err(here)
        };
        let taken = take_it();
        if let Some(following) = following {
            following.ended(taken.is_ok());
        }
        taken
    });
    let mut taken = match following {
        Some(following) => following.outcome(taken),
        None => taken.map(|times| (times, None)),
    };
    match &taken {
        _ if !answers => {}
        Err(_) => drop(answer(&mut back, Err(FAILED))),
        // It runs here already, and has all that it needs.
        Ok((_, Some(_))) => acknowledge(&mut back, observer),
        Ok((_, None)) => {
            // A source that cannot be told goes on running the guest.
            back.see_through();
            if let Err(cause) = answer(&mut back, Ok(())) {
                taken = Err(here(cause));
            }
        }
    }
    let state = taken.as_ref().map_or_else(Error::ends_as, |_| State::Completed);
    ended(observer, Side::In, state);
    taken.map(|(times, postcopy)| Summary { postcopy, ..clock.summary(counter.progress(), times) })
}

/// What arrives, on its way into a machine.
struct Arriving<'a, 'scope, 'env> {
    home: &'a dyn Home,
    ram: Rams<'a, 'scope>,
    copy: Option<Mapped<'a>>,
    configuration: Option<Configuration>,
    blocks: Blocks,
    scope: &'scope Scope<'scope, 'env>,
}

impl Arriving<'_, '_, '_> {
    /// All of it is there: has the devices take up their state, and ends the copy.
    fn finish(self, tail: &Tail, clock: &Clock<'_>) -> Result<Vec<DeviceTime>, Cause> {
        let (stream, bytes) = scanned(self.configuration.as_ref(), tail)?;
        let times = load(self.home, &stream, &bytes, tail)?;
        clock.note(|moments| moments.checked = Some(Instant::now()));
        if let Some(copy) = self.copy {
            copy.finish(tail)?;
        }
        Ok(times)
    }
}

/// The stream that a tail is of, without RAM: its records, and its bytes.
fn scanned(configuration: Option<&Configuration>, tail: &Tail) -> Result<(Stream, Vec<u8>), Cause> {
    let mut start = Writer::new();
    save_start(configuration, &mut start);
    start.bytes(&tail.bytes);
    let bytes = start.into_bytes();
    let scan = Stream::scan(&bytes, &mut |_| {});
    scan.stopped.map_or(Ok((scan.stream, bytes)), |error| Err(error.into()))
}

/// Has the devices take up their state.
fn load(home: &dyn Home, stream: &Stream, bytes: &[u8], tail: &Tail) -> Result<Vec<DeviceTime>, Cause> {
    let loaded = home.load(stream, bytes)?;
    let mut times = device_times(stream, tail);
    for (time, load) in times.iter_mut().zip(loaded) {
        time.load = Some(load);
    }
    Ok(times)
}

impl Sink for Arriving<'_, '_, '_> {
    fn ram(&self) -> &dyn RamSink {
        &self.ram
    }

    fn start(&mut self, configuration: Option<&Configuration>) -> Result<(), Cause> {
        self.home.start(configuration)?;
        self.configuration = configuration.cloned();
        match &mut self.copy {
            Some(copy) => copy.start(configuration),
            None => Ok(()),
        }
    }

    fn blocks(&mut self, section: &Head, blocks: &[Block], page_size: u64) -> Result<(), Cause> {
        self.home.blocks(blocks, page_size)?;
        let page_bytes = u32::try_from(page_size).unwrap_or(u32::MAX);
        self.blocks = Blocks { blocks: blocks.to_vec(), page_bytes };
        match &mut self.copy {
            Some(copy) => copy.blocks(section, blocks, page_size),
            None => Ok(()),
        }
    }

    fn takes_postcopy(&self) -> bool {
        self.ram.following.is_some()
    }

    fn command(&mut self, command: &Command) -> Result<(), Cause> {
        match (command, self.ram.following) {
            (Command::PostcopyAdvise(Some(_)), _) if self.copy.is_some() => {
                let text = "a guest that comes by post-copy is never here as one stream, so that no copy can be kept";
                Err(Cause::Refused(text.to_owned()))
            }
            (Command::PostcopyAdvise(Some(sizes)), Some(following)) => following.advise(*sizes),
            (Command::PostcopyRamDiscard(discard), Some(following)) => {
                following.discard(discard, &self.blocks.blocks)
            }
            _ => Ok(()),
        }
    }

    fn package(&mut self, package: Vec<u8>) -> Result<(), Cause> {
        let configuration = self.configuration.clone();
        match self.ram.following {
            Some(following) => following.start(self.scope, configuration, self.blocks.clone(), package),
            None => Err(Cause::Refused("a package of post-copy, which this machine cannot take".to_owned())),
        }
    }

    fn section(&mut self, head: &Head, _: &[u8]) -> Result<(), Cause> {
        Err(Cause::Refused(format!("the machine here has nothing that begins so early: {head:?}")))
    }
}

/// Pages go into the machine, and into the copy if there is one.
struct Rams<'a, 'scope> {
    home: &'a dyn RamSink,
    copy: Option<&'a MappedRam>,
    /// Post-copy, where the machine can do that.
    following: Option<&'scope Following<'a>>,
}

impl RamSink for Rams<'_, '_> {
    fn pages(&self, pages: &[Page<'_>]) -> io::Result<()> {
        if let Some(following) = self.following.filter(|it| it.is_active()) {
            return following.place(pages);
        }
        self.home.pages(pages)?;
        self.copy.map_or(Ok(()), |copy| copy.pages(pages))
    }
}
