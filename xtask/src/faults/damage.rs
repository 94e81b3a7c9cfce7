//! A go-between on a Unix socket that damages some bytes on their way, and hands answers back as they are.

use std::io::{Read as _, Write as _};
use std::ops::Range;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread::spawn;

use miette::{IntoDiagnostic, Result, WrapErr};

/// Which bytes.
#[derive(Clone, Debug)]
pub(super) struct Damage {
    /// The text after which they are; from the start if it is empty.
    pub(super) after: String,
    /// Where they are, from there.
    pub(super) range: Range<u64>,
}

/// Listens at a socket, and connects to another one when somebody comes. Ends when one of the sides does.
pub(super) fn between(listen: &Path, connect: &Path, damage: Damage) -> Result<()> {
    let listener =
        UnixListener::bind(listen).into_diagnostic().wrap_err_with(|| format!("no {}", listen.display()))?;
    let connect = connect.to_owned();
    spawn(move || {
        let work = || -> std::io::Result<()> {
            let (source, _) = listener.accept()?;
            let relay = UnixStream::connect(connect)?;
            let (mut answers, mut back) = (relay.try_clone()?, source.try_clone()?);
            spawn(move || {
                // However this ends, the source sees the end.
                drop(std::io::copy(&mut answers, &mut back));
                drop(back.shutdown(std::net::Shutdown::Both));
            });
            pass(source, relay, damage)
        };
        // A side that is gone is what the row looks at; this one ends with it.
        drop(work());
    });
    Ok(())
}

fn pass(mut source: UnixStream, mut relay: UnixStream, damage: Damage) -> std::io::Result<()> {
    let mut damaging = Damaging::new(damage);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = source.read(&mut buffer)?;
        if length == 0 {
            return relay.shutdown(std::net::Shutdown::Write);
        }
        let bytes = buffer.get_mut(..length).unwrap_or_default();
        damaging.apply(bytes);
        relay.write_all(bytes)?;
    }
}

/// A damage that is being done.
struct Damaging {
    damage: Damage,
    /// Where the text ends, once it has been seen.
    start: Option<u64>,
    /// Bytes that have passed, and the last of them: the text may begin there.
    passed: u64,
    last: Vec<u8>,
}

impl Damaging {
    fn new(damage: Damage) -> Self {
        let start = damage.after.is_empty().then_some(0);
        Self { damage, start, passed: 0, last: Vec::new() }
    }

    fn apply(&mut self, bytes: &mut [u8]) {
        let text = self.damage.after.as_bytes();
        if self.start.is_none() {
            let before = self.passed - self.last.len() as u64;
            self.last.extend_from_slice(bytes);
            let found = self.last.windows(text.len()).position(|window| window == text);
            self.start = found.map(|found| before + (found + text.len()) as u64);
            let keep = self.last.len().min(text.len() - 1);
            self.last.drain(..self.last.len() - keep);
        }
        if let Some(start) = self.start {
            let range = start + self.damage.range.start..start + self.damage.range.end;
            for (position, byte) in (self.passed..).zip(&mut *bytes) {
                if range.contains(&position) {
                    *byte ^= 0xff;
                }
            }
        }
        self.passed += bytes.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_after_a_text_are_damaged_wherever_it_is_cut() {
        let whole = b"some text, then bytes";
        for cut in 0..whole.len() {
            let mut damaging = Damaging::new(Damage { after: "text".to_owned(), range: 2..4 });
            let mut bytes = *whole;
            let (first, second) = bytes.split_at_mut(cut);
            damaging.apply(first);
            damaging.apply(second);
            assert_eq!(
                bytes.map(|byte| if byte > 0x7f { b'!' } else { byte }),
                *b"some text, !!en bytes",
                "{cut}"
            );
        }
    }
}
