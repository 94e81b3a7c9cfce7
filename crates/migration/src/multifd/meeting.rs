//! Where the main channel waits for all others.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::channel::Cancel;
use crate::error::Cause;

/// How often who waits looks whether it was called off.
const TICK: Duration = Duration::from_millis(100);

/// A meeting of the main channel with all others, again and again.
#[derive(Debug)]
pub(super) struct Meeting {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// Channels that have come to the next meeting.
    arrived: usize,
    /// Meetings so far.
    met: u64,
    /// Why one will not come any more.
    failure: Option<Cause>,
    has_failed: bool,
    /// Channels that were closed after they had come to a meeting.
    left: usize,
    over: bool,
}

impl Meeting {
    pub(super) fn new() -> Self {
        let state = State { arrived: 0, met: 0, failure: None, has_failed: false, left: 0, over: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The main channel waits until all `channels` have come, and lets them go on.
    pub(super) fn hold(&self, channels: usize, cancel: &Cancel) -> Result<(), Cause> {
        let mut state = self.state.lock();
        let comes = |state: &State| !state.has_failed && state.left == 0 && !cancel.is_cancelled();
        while state.arrived < channels && comes(&state) {
            self.changed.wait_for(&mut state, TICK);
        }
        if !comes(&state) {
            let failure = state.failure.take();
            let closed = || Cause::Multifd("a channel was closed before RAM was complete".to_owned());
            return Err(failure.unwrap_or_else(closed));
        }
        state.arrived = 0;
        state.met += 1;
        self.changed.notify_all();
        Ok(())
    }

    /// A channel comes, and waits until it may go on; whether it goes on.
    pub(super) fn attend(&self, cancel: &Cancel) -> bool {
        let mut state = self.state.lock();
        let meeting = state.met;
        state.arrived += 1;
        self.changed.notify_all();
        while state.met == meeting && !state.has_failed && !state.over && !cancel.is_cancelled() {
            self.changed.wait_for(&mut state, TICK);
        }
        state.met != meeting
    }

    /// A channel has nothing more, and had come to the last meeting.
    pub(super) fn leave(&self) {
        self.state.lock().left += 1;
        self.changed.notify_all();
    }

    /// A channel will not come any more.
    pub(super) fn fail(&self, cause: Cause) {
        let mut state = self.state.lock();
        // What comes after a failure comes of it.
        if !std::mem::replace(&mut state.has_failed, true) {
            state.failure = Some(cause);
        }
        self.changed.notify_all();
    }

    /// Why a channel failed, if one did and nobody has asked yet.
    pub(super) fn failure(&self) -> Option<Cause> {
        self.state.lock().failure.take()
    }

    /// There are no more meetings.
    pub(super) fn end(&self) {
        self.state.lock().over = true;
        self.changed.notify_all();
    }

    /// Whether there are no more meetings.
    pub(super) fn is_over(&self) -> bool {
        self.state.lock().over
    }
}
