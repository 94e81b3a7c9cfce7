//! A guest comes into a machine of this process. It runs only once its source has been told that it is gone.

use std::fs::File;
use std::io;

use vmstate::Writer;
use vmstate::ram::Block;
use vmstate::stream::{Configuration, Head, Stream, save_start};

use crate::clock::{Clock, device_times, ended};
use crate::count::Counter;
use crate::error::{Cause, Error};
use crate::event::{DeviceTime, Observer, Side, State, Summary};
use crate::guest::Home;
use crate::hold::{FAILED, answer};
use crate::incoming::{Sink, Tail, Terms};
use crate::keep::{Mapped, MappedRam};
use crate::multifd::Receivers;
use crate::peer::Peer;
use crate::ram::{Page, RamSink};
use crate::take::take;

/// Takes a guest in. When this returns without an error the source has given it up, and it may run; with one it must
/// not. `copy` keeps the stream, each page once (`mapped-ram`).
///
/// # Errors
/// If it is no guest for this machine, or anything fails on the way: the source goes on running it then.
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
    let mut take_it = || {
        let sink = Arriving {
            home,
            ram: BothRams { home: home.ram(), copy: copy.as_ref() },
            copy: copy.as_ref().map(Mapped::new),
            configuration: None,
        };
        let channels = Receivers::none(home.ram(), &counter);
        let (tail, sink) = take(&mut main, &mut back, sink, &channels, terms, &counter, &clock)?;
        clock.arrived(&tail);
        let times = sink.load(&tail).map_err(here)?;
        clock.note(|moments| moments.checked = Some(std::time::Instant::now()));
        if let Some(copy) = sink.copy {
            copy.finish(&tail).map_err(here)?;
        }
        Ok(times)
    };
    let mut taken: Result<Vec<DeviceTime>, Error> = take_it();
    if answers {
        match &taken {
            Err(_) => drop(answer(&mut back, Err(FAILED))),
            Ok(_) => {
                // A source that cannot be told goes on running the guest.
                back.see_through();
                if let Err(cause) = answer(&mut back, Ok(())) {
                    taken = Err(here(cause));
                }
            }
        }
    }
    let state = taken.as_ref().map_or_else(Error::ends_as, |_| State::Completed);
    ended(observer, Side::In, state);
    taken.map(|times| clock.summary(counter.progress(), times))
}

/// What arrives, on its way into a machine.
struct Arriving<'a> {
    home: &'a dyn Home,
    ram: BothRams<'a>,
    copy: Option<Mapped<'a>>,
    configuration: Option<Configuration>,
}

impl Arriving<'_> {
    /// Has the devices take up their state.
    fn load(&self, tail: &Tail) -> Result<Vec<DeviceTime>, Cause> {
        let mut start = Writer::new();
        save_start(self.configuration.as_ref(), &mut start);
        start.bytes(&tail.bytes);
        let bytes = start.into_bytes();
        let scan = Stream::scan(&bytes, &mut |_| {});
        if let Some(error) = scan.stopped {
            return Err(error.into());
        }
        let loaded = self.home.load(&scan.stream, &bytes)?;
        let mut times = device_times(&scan.stream, tail);
        for (time, load) in times.iter_mut().zip(loaded) {
            time.load = Some(load);
        }
        Ok(times)
    }
}

impl Sink for Arriving<'_> {
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
        match &mut self.copy {
            Some(copy) => copy.blocks(section, blocks, page_size),
            None => Ok(()),
        }
    }

    fn section(&mut self, head: &Head, _: &[u8]) -> Result<(), Cause> {
        Err(Cause::Refused(format!("the machine here has nothing that begins so early: {head:?}")))
    }
}

/// Pages go into the machine, and into the copy if there is one.
struct BothRams<'a> {
    home: &'a dyn RamSink,
    copy: Option<&'a MappedRam>,
}

impl RamSink for BothRams<'_> {
    fn pages(&self, pages: &[Page<'_>]) -> io::Result<()> {
        self.home.pages(pages)?;
        self.copy.map_or(Ok(()), |copy| copy.pages(pages))
    }
}
