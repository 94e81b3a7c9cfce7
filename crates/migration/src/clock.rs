//! When what happened, and from that where the time went.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use vmstate::stream::Stream;

use crate::event::{DeviceTime, Event, Observer, Progress, Side, State, Summary};
use crate::incoming::Tail;

/// Notes when what happened, and passes it on.
pub(crate) struct Clock<'a> {
    observer: &'a dyn Observer,
    moments: Mutex<Moments>,
}

/// When what happened; of some things only one side shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moments {
    started: Instant,
    /// The guest was stopped.
    stopped: Option<Instant>,
    /// The last of RAM was there, or had gone.
    pub(crate) ram: Option<Instant>,
    /// The last of the devices was there.
    pub(crate) devices: Option<Instant>,
    /// It had been checked.
    pub(crate) checked: Option<Instant>,
    /// It had gone.
    pub(crate) sent: Option<Instant>,
    /// The guest ran at the destination, before all of it was there (post-copy).
    pub(crate) runs: Option<Instant>,
}

impl<'a> Clock<'a> {
    pub(crate) fn new(observer: &'a dyn Observer) -> Self {
        let moments = Moments {
            started: Instant::now(),
            stopped: None,
            ram: None,
            devices: None,
            checked: None,
            sent: None,
            runs: None,
        };
        Self { observer, moments: Mutex::new(moments) }
    }

    /// Notes moments.
    pub(crate) fn note(&self, note: impl FnOnce(&mut Moments)) {
        note(&mut self.moments.lock());
    }

    /// The tail is there.
    pub(crate) fn arrived(&self, tail: &Tail) {
        let moment = |arrival: Option<&(u64, Instant)>| arrival.map(|(_, moment)| *moment);
        let (first, last) = (moment(tail.arrivals.first()), moment(tail.arrivals.last()));
        self.note(|moments| (moments.ram, moments.devices) = (first, last));
    }

    /// Where the time went, if this is the moment of the acknowledgement.
    pub(crate) fn summary(&self, progress: Progress, device_times: Vec<DeviceTime>) -> Summary {
        let now = Instant::now();
        let moments = *self.moments.lock();
        let stopped = moments.stopped.unwrap_or(now);
        let runs = moments.runs.unwrap_or(now);
        let between = |from: Option<Instant>, to: Option<Instant>| {
            from.zip(to).map(|(from, to)| to.saturating_duration_since(from)).unwrap_or_default()
        };
        Summary {
            total: now.saturating_duration_since(moments.started),
            downtime: runs.saturating_duration_since(stopped),
            ram: between(moments.stopped, moments.ram),
            devices: between(moments.ram, moments.devices),
            check: between(moments.devices, moments.checked),
            acknowledgement: between(moments.sent, Some(runs)),
            progress,
            device_times,
            postcopy: None,
        }
    }
}

impl Observer for Clock<'_> {
    fn event(&self, event: Event) {
        if let Event::State { state: State::Device, .. } = event {
            self.moments.lock().stopped.get_or_insert_with(Instant::now);
        }
        self.observer.event(event);
    }
}

/// How long each device of a stream took to arrive; the tail is its end.
pub(crate) fn device_times(stream: &Stream, tail: &Tail) -> Vec<DeviceTime> {
    let start = stream.bytes.saturating_sub(tail.bytes.len() as u64);
    let arrival = |offset: u64| {
        let bytes = offset.saturating_sub(start);
        tail.arrivals.iter().find(|(there, _)| *there >= bytes).map(|(_, moment)| *moment)
    };
    let time = |(name, from, to, bytes): (&str, u64, u64, u64)| DeviceTime {
        name: name.to_owned(),
        bytes,
        transfer: arrival(from)
            .zip(arrival(to))
            .map_or(Duration::ZERO, |(from, to)| to.saturating_duration_since(from)),
        save: None,
        load: None,
    };
    let sections = stream.sections().filter(|section| section.offset >= start && !section.is_ram());
    sections
        .map(|section| time((&section.name, section.offset, section.body_end(), section.body_bytes)))
        .collect()
}

/// Says in which state a side ends.
pub(crate) fn ended(observer: &dyn Observer, side: Side, state: State) {
    observer.event(Event::State { side, state });
}
