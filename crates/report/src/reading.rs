//! What was read of a file.

use image::Container;
use virtio::guest::Guest;
use vmstate::Error;
use vmstate::stream::Stream;

/// What was read of a file: all that a document or a page is made of.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    /// What the stream was found in.
    pub container: &'a Container,
    /// The stream.
    pub stream: &'a Stream,
    /// Its sections, decoded.
    pub guest: &'a Guest,
    /// What ended the stream early, if something did.
    pub stopped: Option<&'a Error>,
}
