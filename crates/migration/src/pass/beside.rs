//! Channels beside the main one (multifd): each goes straight on to one of the destination's, byte for byte. Both ends
//! know by themselves where they meet.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Scope;

use parking_lot::Mutex;
use vmstate::ram::Block;

use crate::channel::{Cancel, Channel, Patience};
use crate::count::Counter;
use crate::error::Cause;
use crate::incoming::PageChannels;

/// Bytes that go at once.
const PIECE: usize = 256 << 10;

/// Channels that go straight on.
#[derive(Debug, Default)]
pub(super) struct Beside {
    breakers: Mutex<Vec<Cancel>>,
    failure: Mutex<Option<Cause>>,
    is_over: AtomicBool,
}

impl Beside {
    /// Lets channels go on, each to the other of its pair. Both sides are broken off if one fails.
    pub(super) fn start<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        pairs: Vec<(Channel, Channel)>,
        counter: &'scope Counter,
        broken: &'scope (dyn Fn() + Sync),
    ) {
        for (from, to) in pairs {
            // The halves that are not used are kept: their peers would see the channels end.
            let (mut read, back) = from.split();
            let (forth, mut write) = to.split();
            read.set_patience(Patience::ENDLESS);
            self.breakers.lock().push(read.breaker());
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
                    Err(_) if self.is_over.load(Ordering::Acquire) => drop(write.close()),
                    Err(cause) => {
                        self.failure.lock().get_or_insert(cause);
                        broken();
                    }
                }
            });
        }
    }

    /// All has gone, or it was given up.
    pub(super) fn finish(&self) {
        self.is_over.store(true, Ordering::Release);
        self.breakers.lock().iter().for_each(Cancel::cancel);
    }

    /// Why a channel failed, if one did.
    pub(super) fn failure(&self) -> Option<Cause> {
        self.failure.lock().take()
    }
}

impl PageChannels for Beside {
    fn start(&self, _: &[Block], _: u64) {}
    fn synchronise(&self) -> Result<(), Cause> {
        Ok(())
    }
}
