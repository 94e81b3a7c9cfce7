//! The answers of the destination, handed back to the source.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::channel::{ReadHalf, WriteHalf};
use crate::error::Cause;
use crate::event::{Event, Observer};
use crate::hold::{FAILED, untold};
use crate::return_path::Message;

/// Where the answers go.
pub(super) struct WayBack {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    source: WriteHalf,
    /// The last of the stream is on its way.
    is_whole: bool,
    /// The source has been told how it ended.
    is_told: bool,
    /// How it ended, once it has.
    end: Option<Result<(), Cause>>,
}

impl WayBack {
    pub(super) fn new(source: WriteHalf) -> Self {
        let state = State { source, is_whole: false, is_told: false, end: None };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Hands answers back until the last of them; whether it was that the destination has the guest.
    pub(super) fn run(&self, destination: &mut ReadHalf, observer: &dyn Observer) -> bool {
        loop {
            let message = Message::read(destination);
            let mut state = self.state.lock();
            let end = match message {
                Ok(Some(Message::Shut(0))) if state.is_whole => Ok(()),
                Ok(Some(Message::Shut(0))) => Err(Cause::ReturnPath(
                    "the destination says that it has the guest, and has not been sent all of it".to_owned(),
                )),
                Ok(Some(Message::Shut(value))) => Err(Cause::NotTaken { value }),
                Ok(Some(message)) => match message.write(&mut state.source) {
                    Ok(()) => continue,
                    Err(error) => Err(error.into()),
                },
                Ok(None) => Err(Cause::NotAcknowledged),
                Err(cause) => Err(cause),
            };
            // The source is told at once: between the two acknowledgements both sides think they may run.
            let told = state.tell(if end.is_ok() { 0 } else { FAILED });
            let is_good = end.is_ok();
            if let (true, Err(cause)) = (is_good, told) {
                observer.event(Event::Warning { what: untold(&cause) });
            }
            state.end.get_or_insert(end);
            self.changed.notify_all();
            return is_good;
        }
    }

    /// From now on the destination may say that it has the guest.
    pub(super) fn may_acknowledge(&self) {
        self.state.lock().is_whole = true;
    }

    /// Waits for the last answer.
    pub(super) fn wait(&self, limit: Duration) -> Result<(), Cause> {
        let mut state = self.state.lock();
        self.changed.wait_while_for(&mut state, |state| state.end.is_none(), limit);
        match state.end.take() {
            Some(Ok(())) => Ok(()),
            Some(Err(cause)) => Err(cause),
            None => Err(Cause::Refused(format!(
                "the destination did not acknowledge within {} s",
                limit.as_secs()
            ))),
        }
    }

    /// Tells the source that it failed, unless it knows how it ended.
    pub(super) fn refuse(&self) {
        drop(self.state.lock().tell(FAILED));
    }

    /// Why the destination did not take the guest, if it did not.
    pub(super) fn failure(&self) -> Option<Cause> {
        self.state.lock().end.take().and_then(Result::err)
    }
}

impl State {
    fn tell(&mut self, value: u32) -> Result<(), Cause> {
        if self.is_told {
            return Ok(());
        }
        self.is_told = true;
        if value == 0 {
            self.source.see_through();
        }
        Ok(Message::Shut(value).write(&mut self.source)?)
    }
}
