//! Post-copy: the guest is handed over while a part of its RAM is still here. RAM follows it, and first what it waits
//! for.
//!
//! ```text
//! active           which pages are out of date there (RAM_DISCARD): taking them away takes time, and so the guest runs on
//!                  here until a pong says that it is done
//! device           the guest stops: the pages that it wrote to meanwhile are out of date, too
//! postcopy-device  a package (PACKAGED): LISTEN, FULL of each device, a ping, RUN. Until the pong says that the devices
//!                  are loaded, only pages that are asked for go (REQ_PAGES), and some behind them
//! postcopy-active  the guest runs there: PART of ram, with what is asked for first; END of ram, EOF; then SHUT
//! ```
//!
//! When the last byte of the package has gone, the destination may run the guest. From then on it goes on here only if
//! the destination says before the pong that it failed, or closes the channel in order: it sends the pong before it runs
//! the guest, so that it has not run it then.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Instant;

use tracing::{debug, info_span};
use vmstate::Writer;
use vmstate::stream::{Command, Head, Kind, RamDiscard};

use super::devices::device_sections;
use super::dirty::Dirty;
use super::precopy::{BATCH, Gone, RAM_ID, Sending};
use super::{RunsThere, Sent};
use crate::channel::{Patience, ReadHalf};
use crate::error::Cause;
use crate::event::{DeviceTime, Late, State};
use crate::guest::DeviceSection;
use crate::return_path::Message;
use crate::send::LAST_WORD;

/// The value of the ping behind the devices (QEMU: `QEMU_VM_PING_PACKAGED_LOADED`).
const PACKAGED_LOADED: u32 = 0x42;
/// The value of the ping behind what is out of date.
const DISCARDED: u32 = 2;
/// Ranges in one command (QEMU: `MAX_DISCARDS_PER_COMMAND`).
const RANGES: usize = 12;
/// Pages that go unasked at once: one that is asked for meanwhile has to wait for them.
const UNASKED: usize = 32;
/// Answers that wait to be heard. A destination that asks for more at once has to wait.
const WORDS: usize = 256;

/// What the destination says, or why it says nothing more.
type Word = Result<Message, Cause>;

/// RAM on its way to a guest that is there already.
struct Following<'a, 'b> {
    sending: &'a mut Sending<'b>,
    words: Receiver<Word>,
    /// The block that a request names if it names none.
    block: Option<usize>,
    /// The block and the page from which on pages go unasked: behind the last that was asked for.
    next: (usize, u64),
    /// When the destination had loaded the devices.
    loaded: Option<Instant>,
    /// Whether all of RAM has gone.
    ended: bool,
    late: Late,
}

impl Sending<'_> {
    /// Stops the guest, hands it over, and sends what is left of its RAM. It has arrived when this returns without an
    /// error.
    pub(super) fn hand_over(&mut self, back: &mut ReadHalf) -> Result<Gone, Cause> {
        let _span = info_span!("postcopy").entered();
        back.set_patience(Patience::ENDLESS);
        let stop = back.breaker();
        thread::scope(|scope| {
            let (speaker, words) = sync_channel(WORDS);
            scope.spawn(move || hear(back, &speaker));
            let mut following = Following {
                sending: self,
                words,
                block: None,
                next: (0, 0),
                loaded: None,
                ended: false,
                late: Late::default(),
            };
            let gone = following.all().map_err(|cause| following.failed(cause));
            // Nobody listens any more.
            gone.inspect_err(|_| stop.cancel())
        })
    }

    /// Says that these pages are out of date.
    fn discard(&mut self, dirty: &Dirty) -> Result<(), Cause> {
        let size = self.page_size as u64;
        for (index, block) in self.blocks.iter().enumerate() {
            let runs = dirty.runs(index);
            let ranges: Vec<_> = runs.map(|(first, count)| (first * size, count as u64 * size)).collect();
            for ranges in ranges.chunks(RANGES) {
                let discard = RamDiscard { block: block.name.clone(), ranges: ranges.to_vec() };
                let mut out = Writer::new();
                Head::Command(Command::PostcopyRamDiscard(discard)).save(&mut out);
                self.line.put(out.as_bytes())?;
            }
        }
        Ok(())
    }
}

impl Following<'_, '_> {
    fn all(&mut self) -> Result<Gone, Cause> {
        let known = self.sending.dirty.clone();
        self.sending.discard(&known)?;
        self.ping(DISCARDED)?;
        let sections = self.sending.stop()?;
        let new = self.sending.dirty.without(&known);
        self.sending.discard(&new)?;
        let ram = Instant::now();
        self.late.bytes = self.sending.left();
        let device_times = self.package(sections)?;
        let devices = Instant::now();
        self.follow()?;
        let since = self.loaded.unwrap_or(devices);
        let runs_there = Some(RunsThere { since, late: self.late });
        Ok(Gone { sent: Sent { ram, devices }, device_times, runs_there })
    }

    /// Waits until the destination has done all that it was told.
    fn ping(&mut self, value: u32) -> Result<(), Cause> {
        let mut out = Writer::new();
        Head::Command(Command::Ping(value)).save(&mut out);
        self.sending.line.put(out.as_bytes())?;
        self.sending.line.flush()?;
        loop {
            match self.await_word()? {
                Message::Pong(found) if found == value => return Ok(()),
                Message::Pong(_) | Message::SwitchoverAck => {}
                Message::Shut(value) => return Err(Cause::NotTaken { value }),
                // What would go now, the guest may still write to.
                other => {
                    return Err(Cause::ReturnPath(format!("{other:?}, before the guest was handed over")));
                }
            }
        }
    }

    /// Sends the devices, and the guest with them.
    fn package(&mut self, sections: &[DeviceSection]) -> Result<Vec<DeviceTime>, Cause> {
        let written = device_sections(sections);
        let (mut start, mut end) = (Writer::new(), Writer::new());
        Head::Command(Command::PostcopyListen).save(&mut start);
        Head::Command(Command::Ping(PACKAGED_LOADED)).save(&mut end);
        Head::Command(Command::PostcopyRun).save(&mut end);
        let bytes = start.len() + written.iter().map(Writer::len).sum::<usize>() + end.len();
        let bytes = u32::try_from(bytes)
            .map_err(|_| Cause::Refused(format!("{bytes} bytes of device state, too many for post-copy")))?;
        let mut head = Writer::new();
        Head::Command(Command::Packaged { bytes }).save(&mut head);
        head.bytes(start.as_bytes());
        self.sending.line.put(head.as_bytes())?;
        let times = self.sending.send_devices(sections, &written)?;
        // A destination that has not got all of the package cannot run the guest.
        self.sending.line.put(end.as_bytes())?;
        self.sending.what.handed_over.set(true);
        self.sending.line.flush()?;
        self.sending.enter(State::PostcopyDevice);
        Ok(times)
    }

    /// Sends RAM, until the destination says that it has all of it.
    fn follow(&mut self) -> Result<(), Cause> {
        loop {
            let is_more = self.loaded.is_some() && !self.ended;
            let word = if is_more { self.words.try_recv().ok() } else { Some(self.await_word()) };
            match word {
                Some(word) => {
                    if self.heard(word?)? {
                        return Ok(());
                    }
                }
                None => self.go_on()?,
            }
        }
    }

    fn await_word(&self) -> Word {
        self.words.recv().unwrap_or(Err(Cause::NotAcknowledged))
    }

    /// Does what the destination asks for; whether it was its last word.
    fn heard(&mut self, message: Message) -> Result<bool, Cause> {
        debug!(?message, "return path");
        match message {
            Message::RequestPages { block, start, bytes } => {
                self.requested(block.as_deref(), start, bytes)?;
            }
            Message::Pong(PACKAGED_LOADED) if self.loaded.is_none() => {
                self.loaded = Some(Instant::now());
                self.sending.enter(State::PostcopyActive);
            }
            Message::Pong(_) | Message::SwitchoverAck => {}
            Message::Shut(0) if self.ended => return Ok(true),
            Message::Shut(0) => {
                return Err(Cause::ReturnPath("the end, before all of RAM has gone".to_owned()));
            }
            Message::Shut(value) => return Err(Cause::NotTaken { value }),
            other => return Err(Cause::ReturnPath(format!("{other:?}, which nobody asked for"))),
        }
        Ok(false)
    }

    /// Sends pages that are asked for, unless they have gone. Those behind them are likely to be asked for next.
    fn requested(&mut self, name: Option<&str>, start: u64, bytes: u32) -> Result<(), Cause> {
        let blocks = &self.sending.blocks;
        let refuse = |what: &str| Err(Cause::ReturnPath(format!("a request for pages {what}")));
        if let Some(name) = name {
            self.block = blocks.iter().position(|block| block.name == name);
        }
        let Some((index, block)) = self.block.and_then(|index| Some((index, blocks.get(index)?))) else {
            return refuse(&format!("of the block {:?}, which there is none of", name.unwrap_or_default()));
        };
        let size = self.sending.page_size as u64;
        let end = start.checked_add(bytes.into()).filter(|&end| end <= block.bytes.next_multiple_of(size));
        let (Some(end), true) = (end, start.is_multiple_of(size) && u64::from(bytes).is_multiple_of(size))
        else {
            return refuse(&format!(
                "from {start:#x} on, {bytes:#x} bytes of {}, which has {:#x} in pages of {size:#x}",
                block.name, block.bytes
            ));
        };
        let pages = start / size..end / size;
        self.late.requested += pages.end - pages.start;
        self.next = (index, pages.end);
        while let Some((first, count)) = self.sending.dirty.take_run(index, pages.clone(), BATCH) {
            self.sending.batch(index, first * size, count)?;
        }
        // Devices that load look at one ring after the other, and rings lie side by side.
        let ahead = pages.end..pages.end + UNASKED as u64;
        if self.loaded.is_none()
            && let Some((first, count)) = self.sending.dirty.take_run(index, ahead, UNASKED)
        {
            self.next = (index, first + count as u64);
            self.sending.batch(index, first * size, count)?;
        }
        self.sending.close()
    }

    /// Sends some more, or the end.
    fn go_on(&mut self) -> Result<(), Cause> {
        let (block, page) = self.next;
        let blocks = self.sending.blocks.len();
        let dirty = &mut self.sending.dirty;
        // The rest of the block, all others, and the block's beginning.
        let found = (0..=blocks).find_map(|turn| {
            let index = (block + turn) % blocks.max(1);
            let from = if turn == 0 { page } else { 0 };
            let (first, count) = dirty.take_run(index, from..u64::MAX, UNASKED)?;
            Some((index, first, count))
        });
        match found {
            Some((index, first, count)) => {
                self.next = (index, first + count as u64);
                self.sending.batch(index, first * self.sending.page_size as u64, count)
            }
            None => self.end(),
        }
    }

    fn end(&mut self) -> Result<(), Cause> {
        self.sending.close()?;
        let mut out = Writer::new();
        Head::More { kind: Kind::End, id: RAM_ID }.save(&mut out);
        self.sending.line.end_section(RAM_ID, out)?;
        let mut out = Writer::new();
        Head::Eof.save(&mut out);
        self.sending.line.put(out.as_bytes())?;
        self.sending.line.flush()?;
        self.ended = true;
        Ok(())
    }

    /// Why it failed, as far as the destination says; and whether the guest is here.
    fn failed(&mut self, cause: Cause) -> Cause {
        let cause = self.last_word(cause);
        let handed_over = &self.sending.what.handed_over;
        let never_ran =
            matches!(cause, Cause::NotTaken { .. } | Cause::NotAcknowledged) && self.loaded.is_none();
        if never_ran {
            handed_over.set(false);
        }
        if handed_over.get() { Cause::Lost(Box::new(cause)) } else { cause }
    }

    /// What the destination said last, if it takes no more.
    fn last_word(&mut self, cause: Cause) -> Cause {
        if !matches!(cause, Cause::Io(_)) || cause.is_cancelled() {
            return cause;
        }
        let until = Instant::now() + LAST_WORD;
        while let Ok(word) = self.words.recv_timeout(until.saturating_duration_since(Instant::now())) {
            match word {
                Ok(Message::Pong(PACKAGED_LOADED)) => self.loaded = Some(Instant::now()),
                Ok(Message::Shut(value @ 1..)) => return Cause::NotTaken { value },
                Err(said @ Cause::NotAcknowledged) => return said,
                Err(_) => break,
                Ok(_) => {}
            }
        }
        cause
    }
}

/// Passes on what the destination says, up to its last word.
fn hear(back: &mut ReadHalf, speaker: &SyncSender<Word>) {
    loop {
        let word = Message::read(back).and_then(|message| message.ok_or(Cause::NotAcknowledged));
        let is_last = matches!(word, Err(_) | Ok(Message::Shut(_)));
        if speaker.send(word).is_err() || is_last {
            return;
        }
    }
}
