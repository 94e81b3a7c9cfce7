//! Telling a page of zeros, which every page of a guest is looked at for: against reading the same memory.

use std::hint::black_box;

use migration::ram::is_zero;

use crate::Failed;
use crate::measured::Measured;
use crate::turn::{Contest, timed};

const ROUNDS: usize = 21;
const PAGE: usize = 4096;
/// More than any cache holds.
const BYTES: usize = 256 << 20;

/// Measures it.
pub(crate) fn measure(say: &mut dyn FnMut(Measured)) -> Result<(), Failed> {
    // Zeros are read to their last byte: nothing ends a page early. They are written, so that they are memory.
    let memory = vec![black_box(0_u8); BYTES];
    let mut copy = vec![1_u8; BYTES];
    let medians = Contest::new()
        .enter("telling that all pages of a memory are zero", || {
            timed(|| {
                let pages = black_box(&memory).chunks_exact(PAGE).filter(|page| is_zero(page)).count();
                assert_eq!(pages, BYTES / PAGE);
            })
        })
        .enter("adding up its 64-bit words", || {
            timed(|| {
                let words = black_box(&memory).chunks_exact(8).filter_map(|word| word.try_into().ok());
                words.map(u64::from_ne_bytes).fold(0, u64::wrapping_add)
            })
        })
        .enter("copying it (memcpy)", || timed(|| black_box(&mut copy).copy_from_slice(black_box(&memory))))
        .run(ROUNDS);
    let what = "telling that all pages of a memory are zero";
    let note = format!("{} MiB", BYTES >> 20);
    say(Measured::Row(medians.row("zero", what, "adding up its 64-bit words").aim(1.1).note(note)));
    say(Measured::Row(medians.row("zero", what, "copying it (memcpy)").aim(1.0)));
    Ok(())
}
