//! How long a peer may take: the settings of a channel, and the watch over the bytes that move.

use std::time::{Duration, Instant};

use super::Cancel;
use super::tls::Tls;

/// How long who waits for a channel goes on waiting.
///
/// In each `window` of waiting at least `bytes` must move. Only time spent waiting counts: a channel that
/// nobody reads from or writes to may rest as long as it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Time spent waiting.
    pub window: Duration,
    /// Bytes that must move in it.
    pub bytes: u64,
}

impl Patience {
    /// 4 KiB in 60 seconds.
    pub const DEFAULT: Self = Self { window: Duration::from_secs(60), bytes: 4096 };
    /// Waits for ever: for a return path on which nothing needs to come. It can still be cancelled.
    pub const ENDLESS: Self = Self { window: Duration::MAX, bytes: 0 };

    /// Anything at all within `window`, as for answers of a few bytes.
    #[must_use]
    pub const fn any_within(window: Duration) -> Self {
        Self { window, bytes: 1 }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// How channels are made, and what ends them.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Time to find the peer and connect to it.
    pub connect: Duration,
    /// Time for a peer to come; without it, as long as it takes, as QEMU's `-incoming` does.
    pub accept: Option<Duration>,
    /// Time for the TLS handshake.
    pub handshake: Duration,
    /// Time for a command to end after its channel is closed.
    pub close: Duration,
    /// What must move in both directions while somebody waits.
    pub patience: Patience,
    /// Ends all of it.
    pub cancel: Cancel,
    /// Who we are and whom we trust; without it, the channel is plain.
    pub tls: Option<Tls>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            accept: None,
            handshake: Duration::from_secs(30),
            close: Duration::from_secs(30),
            patience: Patience::DEFAULT,
            cancel: Cancel::new(),
            tls: None,
        }
    }
}

/// Watches over one direction.
#[derive(Debug)]
pub(super) struct Meter {
    patience: Patience,
    waited: Duration,
    moved: u64,
}

impl Meter {
    pub(super) fn new(patience: Patience) -> Self {
        Self { patience, waited: Duration::ZERO, moved: 0 }
    }

    pub(super) fn moved(&mut self, bytes: usize) {
        self.moved = self.moved.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if self.moved >= self.patience.bytes {
            *self = Self::new(self.patience);
        }
    }

    /// Adds what has been waited since `start`.
    pub(super) fn waited(&mut self, start: Instant) {
        self.waited = self.waited.saturating_add(start.elapsed());
    }

    /// Time that is left to wait, which is zero for a peer that has stalled.
    pub(super) fn left(&self) -> Option<Duration> {
        (self.patience != Patience::ENDLESS).then(|| self.patience.window.saturating_sub(self.waited))
    }

    /// How long it was waited, what moved, and what should have moved.
    pub(super) fn account(&self) -> (Duration, u64, u64) {
        (self.waited, self.moved, self.patience.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enough_bytes_begin_a_new_window_and_drops_do_not() {
        let window = Duration::from_secs(10);
        let mut meter = Meter::new(Patience { window, bytes: 100 });
        let ago = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
        meter.waited(ago(6));
        meter.moved(99);
        assert!(meter.left().unwrap() <= Duration::from_secs(4));
        meter.moved(1);
        assert_eq!(meter.left(), Some(window));
        meter.waited(ago(11));
        assert_eq!(meter.left(), Some(Duration::ZERO));
        assert_eq!((meter.account().1, meter.account().2), (0, 100));
        assert_eq!(Meter::new(Patience::ENDLESS).left(), None);
    }
}
