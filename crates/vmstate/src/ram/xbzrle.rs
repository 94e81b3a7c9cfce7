//! XBZRLE: a page as its difference to what it was.
//!
//! The encoding alternates between how many bytes stay as they are, and how many change followed by
//! their new values, until nothing changes any more. Both lengths are little-endian base-128 numbers
//! of at most two bytes (QEMU: `docs/devel/migration/xbzrle.rst`).

use crate::error::{ErrorKind, Result};
use crate::reader::Reader;

/// Changes `page` as `changes` say.
///
/// # Errors
/// [`ErrorKind::Truncated`] if they end early, [`ErrorKind::TooMany`] if they reach beyond the page,
/// [`ErrorKind::Invalid`] for a length that is not one. The page may be half changed then.
pub fn apply(changes: &mut Reader<'_>, page: &mut [u8]) -> Result<()> {
    let mut next = 0;
    while changes.left() > 0 {
        next += length(changes, page.len() - next)?;
        let at = changes.clone();
        let changed = length(changes, page.len() - next)?;
        if changed == 0 {
            return Err(at.fail(ErrorKind::Invalid("a run of 0 changed bytes".into())));
        }
        let bytes = changes.bytes(changed)?;
        if let Some(run) = page.get_mut(next..next + changed) {
            run.copy_from_slice(bytes);
        }
        next += changed;
    }
    Ok(())
}

/// A length of at most `limit`.
fn length(input: &mut Reader<'_>, limit: usize) -> Result<usize> {
    let at = input.clone();
    let low = input.u8()?;
    let mut length = usize::from(low & 0x7f);
    if low & 0x80 != 0 {
        let high = input.u8()?;
        if high & 0x80 != 0 {
            return Err(at.fail(ErrorKind::Invalid("a length of more than two bytes".into())));
        }
        length |= usize::from(high) << 7;
    }
    if length > limit {
        let (what, found) = ("bytes in a run", length as u64);
        return Err(at.fail(ErrorKind::TooMany { what, found, limit: limit as u64 }));
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(changes: &[u8], page: &[u8]) -> Result<Vec<u8>> {
        let mut page = page.to_vec();
        apply(&mut Reader::new(changes, 0x40), &mut page)?;
        Ok(page)
    }

    #[test]
    fn changes_what_it_names() {
        let page = applied(&[2, 3, b'X', b'Y', b'Z', 1, 1, b'!'], b"abcdefgh").unwrap();
        assert_eq!(page, b"abXYZf!h");
        assert_eq!(applied(&[0, 1, b'A'], b"a").unwrap(), b"A");
        assert_eq!(applied(&[], b"same").unwrap(), b"same");
    }

    #[test]
    fn lengths_have_one_or_two_bytes() {
        let mut expected = vec![0; 4096];
        expected[300..302].copy_from_slice(&[7, 8]);
        assert_eq!(applied(&[0xac, 0x02, 2, 7, 8], &[0; 4096]).unwrap(), expected);
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let kind = |changes: &[u8]| applied(changes, &[0; 8]).unwrap_err().to_string();
        assert_eq!(kind(&[9, 1, 1]), "at 0x40: 9 bytes in a run, at most 8");
        assert_eq!(kind(&[7, 2, 1, 1]), "at 0x41: 2 bytes in a run, at most 1");
        assert_eq!(kind(&[1, 2, 1]), "at 0x42: needs 2 bytes, 1 are left");
        assert_eq!(kind(&[1]), "at 0x41: needs 1 bytes, 0 are left");
        assert_eq!(kind(&[1, 0]), "at 0x41: a run of 0 changed bytes");
        assert_eq!(kind(&[0x80, 0x80, 1]), "at 0x40: a length of more than two bytes");
    }
}
