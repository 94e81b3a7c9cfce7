//! The writer: fields appended to a buffer, big-endian.

/// Appends fields to a buffer. Integers are big-endian.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty buffer with room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// Appends raw bytes.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Appends one byte.
    #[inline]
    pub fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    /// Appends two bytes.
    #[inline]
    pub fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    /// Appends four bytes.
    #[inline]
    pub fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    /// Appends eight bytes.
    #[inline]
    pub fn u64(&mut self, value: u64) {
        self.bytes(&value.to_be_bytes());
    }

    /// Appends `count` zero bytes.
    #[inline]
    pub fn zeros(&mut self, count: usize) {
        self.0.resize(self.0.len() + count, 0);
    }

    /// Appends what lies from `start` on once more, until `times` copies of it are there.
    pub fn repeat_from(&mut self, start: usize, times: usize) {
        let unit = self.0.len().saturating_sub(start);
        let end = start + unit * times;
        self.0.reserve(end.saturating_sub(self.0.len()));
        while self.0.len() < end {
            let length = (self.0.len() - start).min(end - self.0.len());
            self.0.extend_from_within(start..start + length);
        }
    }

    /// Appends a name: a byte with its length, then its characters. A name longer than the format's
    /// 255 bytes is cut there; no such name can have been read.
    pub fn name(&mut self, name: &str) {
        let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
        self.u8(length);
        self.bytes(name.as_bytes().get(..usize::from(length)).unwrap_or_default());
    }

    /// Bytes appended so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Forgets what was written, and keeps the room for it.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether nothing was appended yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was appended.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What was appended.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_a_unit() {
        let mut out = Writer::new();
        out.u8(9);
        out.u16(0x0102);
        out.repeat_from(1, 4);
        assert_eq!(out.as_bytes(), [9, 1, 2, 1, 2, 1, 2, 1, 2]);
    }
}
