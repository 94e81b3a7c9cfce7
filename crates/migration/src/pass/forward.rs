//! What has been read goes on, written by a thread of its own.

use std::fs::File;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use vmstate::Writer;
use vmstate::stream::{Configuration, save_start};

use crate::channel::WriteHalf;
use crate::error::Cause;
use crate::incoming::{Sink, Tail};
use crate::judge::Judge;
use crate::ram::{Nowhere, RamSink};

/// Pieces between the two threads, and bytes of each, at most.
const PIECES: usize = 8;
const PIECE: usize = 1 << 20;

/// Hands on what arrives.
pub(super) struct Forward<'scope, 'env> {
    pieces: Option<SyncSender<Vec<u8>>>,
    /// Pieces that have been written, to be filled again.
    empty: Receiver<Vec<u8>>,
    /// What is gathered for the next piece.
    piece: Vec<u8>,
    writer: Option<ScopedJoinHandle<'scope, io::Result<()>>>,
    judge: &'env dyn Judge,
    configuration: Option<Configuration>,
    /// What goes in place of the next bytes.
    instead: Option<Vec<u8>>,
    copy: Option<File>,
}

impl<'scope, 'env> Forward<'scope, 'env> {
    pub(super) fn start(
        scope: &'scope Scope<'scope, '_>,
        mut out: WriteHalf,
        judge: &'env dyn Judge,
        copy: Option<File>,
    ) -> Self {
        let (pieces, to_write) = sync_channel::<Vec<u8>>(PIECES);
        let (written, empty) = sync_channel(PIECES + 1);
        let writer = scope.spawn(move || {
            for mut piece in to_write {
                out.write_all(&piece)?;
                piece.clear();
                // Nobody may want it any more.
                drop(written.try_send(piece));
            }
            out.flush()
        });
        Self {
            pieces: Some(pieces),
            empty,
            piece: Vec::new(),
            writer: Some(writer),
            judge,
            configuration: None,
            instead: None,
            copy,
        }
    }

    /// The configuration, as it came.
    pub(super) fn configuration(&self) -> Option<&Configuration> {
        self.configuration.as_ref()
    }

    /// Hands on the tail, or what goes in its place, and waits until all is written.
    pub(super) fn finish(mut self, instead: Option<Vec<u8>>, tail: &Tail) -> Result<(), Cause> {
        if let Some(copy) = &mut self.copy {
            copy.write_all(&tail.bytes).and_then(|()| copy.sync_data()).map_err(Cause::Keep)?;
        }
        self.hand_on(instead.as_deref().unwrap_or(&tail.bytes))?;
        self.ship()?;
        self.pieces = None;
        self.outcome()
    }

    fn hand_on(&mut self, bytes: &[u8]) -> Result<(), Cause> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = PIECE.saturating_sub(self.piece.len());
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.piece.extend_from_slice(now);
            rest = later;
            if self.piece.len() >= PIECE {
                self.ship()?;
            }
        }
        Ok(())
    }

    /// Gives the piece to the writer.
    fn ship(&mut self) -> Result<(), Cause> {
        let next = self.empty.try_recv().unwrap_or_default();
        let piece = std::mem::replace(&mut self.piece, next);
        let sent = self.pieces.as_ref().is_some_and(|pieces| pieces.send(piece).is_ok());
        if sent { Ok(()) } else { self.outcome() }
    }

    /// How writing ended.
    fn outcome(&mut self) -> Result<(), Cause> {
        match self.writer.take().map(ScopedJoinHandle::join) {
            Some(Ok(outcome)) => Ok(outcome?),
            _ => Err(Cause::NotAcknowledged),
        }
    }
}

impl Sink for Forward<'_, '_> {
    fn ram(&self) -> &dyn RamSink {
        &Nowhere
    }

    fn start(&mut self, configuration: Option<&Configuration>) -> Result<(), Cause> {
        self.configuration = configuration.cloned();
        if let Some(mut configuration) = configuration.cloned()
            && self.judge.start(&mut configuration)?
        {
            let mut out = Writer::new();
            save_start(Some(&configuration), &mut out);
            self.instead = Some(out.into_bytes());
        }
        Ok(())
    }

    fn passed(&mut self, bytes: &[u8]) -> Result<(), Cause> {
        if let Some(copy) = &mut self.copy {
            copy.write_all(bytes).map_err(Cause::Keep)?;
        }
        match self.instead.take() {
            Some(instead) => self.hand_on(&instead)?,
            None => self.hand_on(bytes)?,
        }
        // What the source waits to be answered must not wait here.
        self.ship()
    }
}
