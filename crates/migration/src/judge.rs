//! Whether a guest may go on, and how it is changed on the way.

use vmstate::source::Source;
use vmstate::stream::{Configuration, Stream};

use crate::error::Cause;

/// Decides whether a guest may go on.
pub trait Judge: Sync {
    /// Changes the configuration, where it goes on before the rest has come; whether it did.
    ///
    /// # Errors
    /// If a change cannot be made without the rest.
    fn start(&self, configuration: &mut Configuration) -> Result<bool, Cause>;

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
