//! Whether a guest may go on, and how it is changed on the way.

use vmstate::source::{FileSource, Source};
use vmstate::stream::{Configuration, Stream};

use crate::error::Cause;

/// Decides whether a guest may go on.
pub trait Judge: Sync {
    /// Changes the configuration, where it goes on before the rest has come; whether it did.
    ///
    /// # Errors
    /// If a change cannot be made without the rest.
    fn start(&self, configuration: &mut Configuration) -> Result<bool, Cause>;

    /// Does what there is to do with a guest that is held, in its RAM as well: `held` is the file in which it was
    /// scanned, of which nobody else makes use, and what is written there goes on. Gives the stream as it is then,
    /// if anything was done; that is judged. Not asked of a guest that is passed on.
    ///
    /// # Errors
    /// If that cannot be done. The guest stays at its source then, whatever has become of its RAM here.
    fn finish(&self, stream: &Stream, held: &FileSource) -> Result<Option<Stream>, Cause> {
        let _ = (stream, held);
        Ok(None)
    }

    /// Checks a stream, and gives it as it is to go on, if that is not as it came. Of a stream that was passed
    /// on the RAM is not there.
    ///
    /// # Errors
    /// [`Cause::Refused`], with the reason.
    fn judge(&self, stream: &Stream, source: &dyn Source) -> Result<Option<Stream>, Cause>;
}

/// Lets everything go on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anything;

impl Judge for Anything {
    fn start(&self, _: &mut Configuration) -> Result<bool, Cause> {
        Ok(false)
    }
    fn judge(&self, _: &Stream, _: &dyn Source) -> Result<Option<Stream>, Cause> {
        Ok(None)
    }
}
