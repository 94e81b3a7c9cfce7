//! The records of RAM as they arrive, in batches.

use std::io::Read;

use vmstate::ErrorKind;
use vmstate::ram::{Decoder, Record};
use vmstate::stream::Head;

use super::{Incoming, Sink};
use crate::error::Cause;
use crate::event::{Event, Side};
use crate::multifd::Meetings;
use crate::ram::{Content, Page};

/// The most pages that are handed on at once.
const BATCH: usize = 512;

/// Why a batch ended.
enum End {
    /// There is room for no more, or a record follows that stands by itself.
    Batch,
    /// The rest of a record has not come yet.
    Wait,
    /// The block list is complete.
    Blocks,
    /// Pages went over other channels.
    Flush,
    /// The section has ended.
    Section,
}

impl<R: Read> Incoming<'_, R> {
    /// Takes the records of a section of RAM.
    pub(super) fn records(&mut self, sink: &mut impl Sink, head: &Head) -> Result<(), Cause> {
        let counter = self.counter;
        loop {
            let (batch, offset, end) = self.batch()?;
            if !batch.is_empty() {
                counter.pages(&batch);
                sink.ram().pages(&batch).map_err(Cause::Keep)?;
            }
            drop(batch);
            self.pass(sink, offset)?;
            self.report();
            match end {
                End::Batch => {}
                End::Wait => self.wire.fill("the end of a section of RAM")?,
                End::Blocks => self.list(sink, head)?,
                End::Flush => {
                    self.meetings.get_or_insert(Meetings::Flush);
                    self.channels.ok_or(Cause::NoChannels)?.synchronise()?;
                }
                End::Section => return Ok(()),
            }
        }
    }

    /// The pages that are there, up to what stands by itself; and where they end.
    fn batch(&mut self) -> Result<(Vec<Page<'_>>, u64, End), Cause> {
        let page_size = usize::try_from(self.page_size).unwrap_or(usize::MAX);
        let mut input = self.wire.reader();
        let mut batch = Vec::with_capacity(BATCH);
        let Some(decoder) = &mut self.decoder else { return Ok((batch, input.offset(), End::Section)) };
        loop {
            if batch.len() == BATCH {
                return Ok((batch, input.offset(), End::Batch));
            }
            let before = input.offset();
            let taken = decoder.decode(&mut input).and_then(|record| {
                let (at, content) = match record {
                    Record::Page(at) => (at, Content::Data(input.bytes(page_size)?)),
                    Record::Zero(at) => (at, Content::Zero),
                    Record::Xbzrle { page, bytes } => (page, Content::Changes(input.bytes(bytes.into())?)),
                    other => return Ok(Err(other)),
                };
                Ok(Ok(Page { at, content }))
            });
            match taken {
                Ok(Ok(page)) => batch.push(page),
                Ok(Err(Record::EndOfSection)) => return Ok((batch, input.offset(), End::Section)),
                Ok(Err(Record::MultifdFlush)) => return Ok((batch, input.offset(), End::Flush)),
                Ok(Err(Record::MemSize { .. })) if !decoder.blocks().is_empty() => {
                    let text = "a second list of blocks";
                    return Err(input.fail(ErrorKind::Invalid(text.into())).in_scope(super::RAM).into());
                }
                Ok(Err(_)) if decoder.is_listed() => return Ok((batch, input.offset(), End::Blocks)),
                Ok(Err(_)) => {}
                Err(error) if matches!(error.kind(), ErrorKind::Truncated { .. }) => {
                    return Ok((batch, before, End::Wait));
                }
                Err(error) => return Err(error.in_scope(super::RAM).into()),
            }
        }
    }

    /// The block list is there.
    fn list(&mut self, sink: &mut impl Sink, head: &Head) -> Result<(), Cause> {
        let blocks = self.decoder.as_ref().map(Decoder::blocks).unwrap_or_default();
        self.counter.start(blocks, self.page_size);
        if let Some(channels) = self.channels {
            channels.start(blocks, self.page_size);
        }
        sink.blocks(head, blocks, self.page_size)
    }

    fn report(&self) {
        self.observer.event(Event::Progress { side: Side::In, progress: self.counter.progress() });
    }
}
