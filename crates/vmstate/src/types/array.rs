//! Long fixed arrays whose end is all alike.
//!
//! A virtio section carries arrays of 1,024 queues of which a handful are in use. Holding, showing and
//! comparing the rest would cost more than all the state there is, so an [`Array`] keeps the leading
//! elements that differ and the one element that all others equal.

use serde::{Deserialize, Serialize};

use crate::description::{Type, Typed};
use crate::error::{ErrorKind, Result};
use crate::field::{Field, load_elements, save_elements};
use crate::reader::Reader;
use crate::vmdesc::FieldDesc;
use crate::writer::Writer;

/// `N` elements, of which all past the first few are the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Array<T, const N: usize> {
    /// The first elements, at most `N`; the last of them differs from `rest`.
    entries: Vec<T>,
    /// Every other element.
    rest: T,
}

impl<T: Default, const N: usize> Default for Array<T, N> {
    fn default() -> Self {
        Self { entries: Vec::new(), rest: T::default() }
    }
}

impl<T, const N: usize> Array<T, N> {
    /// An array of equal elements.
    #[must_use]
    pub const fn filled(element: T) -> Self {
        Self { entries: Vec::new(), rest: element }
    }

    /// The element at `index`, if there is one.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&T> {
        (index < N).then(|| self.entries.get(index).unwrap_or(&self.rest))
    }

    /// All elements.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().chain(std::iter::repeat(&self.rest)).take(N)
    }

    /// The leading elements that are not like all the rest.
    #[must_use]
    pub fn entries(&self) -> &[T] {
        &self.entries
    }
}

impl<T: Clone + PartialEq, const N: usize> Array<T, N> {
    /// Sets the element at `index`; does nothing past the end.
    pub fn set(&mut self, index: usize, value: T) {
        if index >= N {
            return;
        }
        if index >= self.entries.len() {
            self.entries.resize(index + 1, self.rest.clone());
        }
        if let Some(entry) = self.entries.get_mut(index) {
            *entry = value;
        }
        while self.entries.last() == Some(&self.rest) {
            self.entries.pop();
        }
    }
}

impl<T: Typed, const N: usize> Typed for Array<T, N> {
    const TYPE: Type = <[T; N]>::TYPE;
}

impl<Cx: ?Sized, T: Field<Cx>, const N: usize> Field<Cx> for Array<T, N> {
    fn load(input: &mut Reader<'_>, cx: &Cx) -> Result<Self> {
        const { assert!(N > 0, "an array of no elements has no last one") };
        let size = const { T::TYPE.fixed_size() };
        let Some(size) = size.filter(|&size| size > 0) else {
            return Err(input.fail(ErrorKind::Unsupported("an array of elements of varying size".into())));
        };
        let offset = input.offset();
        let bytes = input.bytes(size * N)?;
        let different = leading_different(bytes, size);
        let mut elements = Reader::new(bytes, offset);
        let entries = load_elements(&mut elements, different, cx)?;
        let rest = T::load(&mut elements, cx).map_err(|e| e.at_index(different))?;
        Ok(Self { entries, rest })
    }

    fn save(&self, out: &mut Writer) {
        let entries = self.entries.get(..N).unwrap_or(&self.entries);
        save_elements(entries, out);
        if entries.len() < N {
            let start = out.len();
            self.rest.save(out);
            out.repeat_from(start, N - entries.len());
        }
    }

    fn describe(&self, name: &str) -> Vec<FieldDesc> {
        let each = self.rest.describe(name);
        each.into_iter().map(|entry| FieldDesc { array_len: Some(N as u64), ..entry }).collect()
    }
}

/// How many elements of `size` bytes come before the run of equal ones that ends `bytes`.
///
/// All elements from some place on are equal just if each byte from there on equals the one `size`
/// later; so the slice is compared with itself, moved by one element, from the end, in blocks.
fn leading_different(bytes: &[u8], size: usize) -> usize {
    const BLOCK: usize = 256;
    let (earlier, later) = (bytes.get(..bytes.len() - size), bytes.get(size..));
    let (Some(mut earlier), Some(mut later)) = (earlier, later) else { return 0 };
    while let (Some((e, e_block)), Some((l, l_block))) =
        (earlier.split_last_chunk::<BLOCK>(), later.split_last_chunk::<BLOCK>())
    {
        if e_block != l_block {
            break;
        }
        (earlier, later) = (e, l);
    }
    let last_difference = earlier.iter().zip(later).rposition(|(e, l)| e != l);
    last_difference.map_or(0, |at| at / size + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keeps_what_differs() {
        let mut bytes = vec![0; 2 * 1024];
        bytes[5] = 7;
        let array = Array::<u16, 1024>::load(&mut Reader::new(&bytes, 0), &()).unwrap();
        assert_eq!(array.entries(), [0, 0, 7]);
        assert_eq!(array.iter().count(), 1024);
        assert_eq!((array.get(2), array.get(1023), array.get(1024)), (Some(&7), Some(&0), None));
    }

    #[test]
    fn setting_keeps_the_form_canonical() {
        let mut array = Array::<u32, 8>::default();
        array.set(3, 9);
        assert_eq!(array.entries(), [0, 0, 0, 9]);
        array.set(3, 0);
        assert_eq!(array, Array::default());
        array.set(8, 1);
        assert_eq!(array, Array::default());
    }

    proptest! {
        #[test]
        fn saves_what_it_loaded(head in proptest::collection::vec(any::<u8>(), 0..300), tail: u8) {
            let mut bytes = vec![tail; 4 * 256];
            let length = head.len().min(bytes.len());
            bytes[..length].copy_from_slice(&head[..length]);
            let array = Array::<u32, 256>::load(&mut Reader::new(&bytes, 0), &()).unwrap();
            prop_assert_ne!(array.entries().last(), Some(&u32::from_be_bytes([tail; 4])));
            let mut out = Writer::new();
            Field::<()>::save(&array, &mut out);
            prop_assert_eq!(out.into_bytes(), bytes);
        }
    }
}
