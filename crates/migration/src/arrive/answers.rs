//! The way back, while several threads answer.

use std::io::{self, Write};

use parking_lot::Mutex;

use crate::channel::WriteHalf;

/// The way back, on which several threads answer: each message whole.
pub(super) struct Answers<'a>(Mutex<&'a mut WriteHalf>);

impl<'a> Answers<'a> {
    pub(super) fn new(back: &'a mut WriteHalf) -> Self {
        Self(Mutex::new(back))
    }
}

impl Write for &Answers<'_> {
    fn write(&mut self, message: &[u8]) -> io::Result<usize> {
        self.0.lock().write_all(message).map(|()| message.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().flush()
    }
}
