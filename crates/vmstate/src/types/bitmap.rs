//! Bitmaps: as many 64-bit words as the bits need.

use serde::{Deserialize, Serialize};

use crate::description::{Length, Type, Typed};
use crate::error::Result;
use crate::field::{CountedField, save_elements};
use crate::reader::Reader;
use crate::vmdesc::FieldDesc;
use crate::writer::Writer;

/// A bitmap; its number of bits comes from earlier fields (`#[vmstate(count = …)]`). Bit `n` is bit
/// `n % 64` of word `n / 64`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bitmap {
    words: Vec<u64>,
}

impl Bitmap {
    /// Whether a bit is set; bits past the end are not.
    #[must_use]
    pub fn is_set(&self, bit: u64) -> bool {
        let word = usize::try_from(bit / 64).ok().and_then(|word| self.words.get(word));
        word.is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }

    /// How many bits are set.
    #[must_use]
    pub fn count_ones(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// The words, first bits first.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }
}

impl From<Vec<u64>> for Bitmap {
    fn from(words: Vec<u64>) -> Self {
        Self { words }
    }
}

impl Typed for Bitmap {
    const TYPE: Type =
        Type::Array { element: &Type::Scalar { name: "bitmap", size: 8 }, length: Length::External };
}

impl<Cx: ?Sized> CountedField<Cx> for Bitmap {
    fn load_counted(input: &mut Reader<'_>, bits: u64, limit: u64, cx: &Cx) -> Result<Self> {
        // The limit is one of bits, and so is the count that an error names.
        input.backed(bits, 0, limit, "bits")?;
        Vec::load_counted(input, bits.div_ceil(64), u64::MAX, cx).map(|words| Self { words })
    }
    fn save_counted(&self, out: &mut Writer) {
        save_elements::<Cx, _>(&self.words, out);
    }
    fn describe_counted(&self, name: &str) -> Vec<FieldDesc> {
        vec![FieldDesc::new(name, Self::TYPE.name(), self.words.len() as u64 * 8)]
    }
}
