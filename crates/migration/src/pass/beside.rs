//! Channels beside the main one (multifd): each goes straight on to one of the destination's, byte for byte. Both ends
//! know by themselves where they meet.

use std::io::{Read, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Scope;

use vmstate::ram::Block;

use crate::channel::{Cancel, Channel, Patience};
use crate::count::Counter;
use crate::error::Cause;
use crate::incoming::PageChannels;

/// Bytes that go at once.
const PIECE: usize = 256 << 10;

/// Channels that go straight on.
#[derive(Debug)]
pub(super) struct Beside {
    breakers: Mutex<Vec<Cancel>>,
    failure: Mutex<Option<Cause>>,
    is_over: Mutex<bool>,
    count: usize,
}

impl Beside {
    /// Lets channels go on, each to the other of its pair. Both sides are broken off if one fails.
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        this: &'scope Self,
        pairs: Vec<(Channel, Channel)>,
        counter: &'scope Counter,
        broken: &'scope (dyn Fn() + Sync),
    ) {
        for (from, to) in pairs {
            // The halves that are not used are kept: their peers would see the channels end.
            let (mut read, back) = from.split();
            let (forth, mut write) = to.split();
            read.set_patience(Patience::ENDLESS);
            lock(&this.breakers).push(read.breaker());
            scope.spawn(move || {
                let kept = (back, forth);
                let mut buffer = vec![0; PIECE];
                let done: Result<(), Cause> = loop {
                    match read.read(&mut buffer) {
                        Ok(0) => break Ok(()),
                        Ok(bytes) => {
                            if let Err(error) = write.write_all(buffer.get(..bytes).unwrap_or_default()) {
                                break Err(error.into());
                            }
                            counter.bytes(bytes as u64);
                        }
                        Err(error) => break Err(error.into()),
                    }
                };
                drop(kept);
                match done {
                    // How a channel that is not needed any more is closed makes no difference.
                    Ok(()) => drop(write.close()),
                    Err(_) if *lock(&this.is_over) => drop(write.close()),
                    Err(cause) => {
                        lock(&this.failure).get_or_insert(cause);
                        broken();
                    }
                }
            });
        }
    }

    pub(super) fn new(count: usize) -> Self {
        Self { breakers: Mutex::default(), failure: Mutex::default(), is_over: Mutex::new(false), count }
    }

    /// Whether there are any.
    pub(super) fn are_there(&self) -> bool {
        self.count > 0
    }

    /// All has gone, or it was given up.
    pub(super) fn finish(&self) {
        *lock(&self.is_over) = true;
        lock(&self.breakers).iter().for_each(Cancel::cancel);
    }

    /// Why a channel failed, if one did.
    pub(super) fn failure(&self) -> Option<Cause> {
        lock(&self.failure).take()
    }
}

impl PageChannels for Beside {
    fn start(&self, _: &[Block], _: u64) {}
    fn synchronise(&self) -> Result<(), Cause> {
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
