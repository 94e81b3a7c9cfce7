//! Random bytes: what nobody can shorten.

use std::io::{self, Read};

/// The same bytes each time (xorshift64*).
pub(crate) struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl Read for Random {
    /// Fills all of `bytes`.
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        for chunk in bytes.chunks_mut(8) {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            let word = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes();
            for (byte, random) in chunk.iter_mut().zip(word) {
                *byte = random;
            }
        }
        Ok(bytes.len())
    }
}
