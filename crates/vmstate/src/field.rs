//! Fields: what can be read from and written to the wire.
//!
//! `Cx` is what the reader has to know beyond the bytes (how many queues the device has, say). Most
//! fields do not care and work with any; a struct that does names it with `#[vmstate(context = …)]`.

use crate::description::{Length, Type, Typed};
use crate::error::Result;
use crate::reader::Reader;
use crate::vmdesc::FieldDesc;
use crate::writer::Writer;

/// A value with a form on the wire.
#[diagnostic::on_unimplemented(
    message = "`{Self}` alone does not say how it lies on the wire",
    label = "not a field",
    note = "a `Vec` or `Bitmap` takes `#[vmstate(count = …)]`; an `Option` takes `subsection`, `since` or \
            `when`; a struct derives `VmState`, with a `context` only where its parent has the same"
)]
pub trait Field<Cx: ?Sized = ()>: Typed + Sized {
    /// Reads the value.
    ///
    /// # Errors
    /// If the input ends early or the value is not allowed.
    fn load(input: &mut Reader<'_>, cx: &Cx) -> Result<Self>;

    /// Writes the value.
    fn save(&self, out: &mut Writer);

    /// Describes the value as QEMU's JSON description does, in one entry or, for arrays of structs,
    /// in one for each element.
    fn describe(&self, name: &str) -> Vec<FieldDesc> {
        let mut out = Writer::new();
        self.save(&mut out);
        vec![FieldDesc::new(name, Self::TYPE.name(), out.len() as u64)]
    }
}

/// A sequence whose number of elements earlier fields give: `#[vmstate(count = …)]`.
pub trait CountedField<Cx: ?Sized = ()>: Sized {
    /// Reads `count` elements, or fails if that is more than `limit`.
    ///
    /// # Errors
    /// If the count is too large or an element cannot be read.
    fn load_counted(input: &mut Reader<'_>, count: u64, limit: u64, cx: &Cx) -> Result<Self>;

    /// Writes the elements; the count is not among them.
    fn save_counted(&self, out: &mut Writer);

    /// Describes the elements as QEMU's JSON description does.
    fn describe_counted(&self, name: &str) -> Vec<FieldDesc>;
}

/// A sequence that carries its own count: `#[vmstate(max = …)]` bounds it.
pub trait BoundedField<Cx: ?Sized = ()>: Sized {
    /// Reads the count and the elements, or fails if there are more than `limit`.
    ///
    /// # Errors
    /// If the count is too large or an element cannot be read.
    fn load_bounded(input: &mut Reader<'_>, limit: u64, cx: &Cx) -> Result<Self>;
}

macro_rules! integers {
    ($($ty:ty: $name:literal),*) => {$(
        impl Typed for $ty {
            const TYPE: Type = Type::Scalar { name: $name, size: size_of::<$ty>() };
        }
        impl<Cx: ?Sized> Field<Cx> for $ty {
            #[inline]
            fn load(input: &mut Reader<'_>, _: &Cx) -> Result<Self> {
                input.array().map(<$ty>::from_be_bytes)
            }
            #[inline]
            fn save(&self, out: &mut Writer) {
                out.bytes(&self.to_be_bytes());
            }
        }
    )*};
}

integers!(u8: "uint8", u16: "uint16", u32: "uint32", u64: "uint64", i8: "int8", i16: "int16", i32: "int32", i64: "int64");

impl Typed for bool {
    const TYPE: Type = Type::Scalar { name: "bool", size: 1 };
}

impl<Cx: ?Sized> Field<Cx> for bool {
    fn load(input: &mut Reader<'_>, _: &Cx) -> Result<Self> {
        // QEMU takes any byte but zero for true.
        input.u8().map(|byte| byte != 0)
    }
    fn save(&self, out: &mut Writer) {
        out.u8(u8::from(*self));
    }
}

impl<T: Typed, const N: usize> Typed for [T; N] {
    const TYPE: Type = Type::Array { element: &T::TYPE, length: Length::Fixed(N) };
}

impl<Cx: ?Sized, T: Field<Cx>, const N: usize> Field<Cx> for [T; N] {
    fn load(input: &mut Reader<'_>, cx: &Cx) -> Result<Self> {
        let elements = load_elements(input, N, cx)?;
        elements
            .try_into()
            .map_err(|_| input.fail(crate::ErrorKind::Invalid("an array of another length".into())))
    }
    fn save(&self, out: &mut Writer) {
        save_elements(self, out);
    }
    fn describe(&self, name: &str) -> Vec<FieldDesc> {
        describe_elements(self, name)
    }
}

impl<T: Typed> Typed for Vec<T> {
    const TYPE: Type = Type::Array { element: &T::TYPE, length: Length::External };
}

impl<Cx: ?Sized, T: Field<Cx>> CountedField<Cx> for Vec<T> {
    fn load_counted(input: &mut Reader<'_>, count: u64, limit: u64, cx: &Cx) -> Result<Self> {
        // An element that may take no bytes is counted as one: no count comes for free.
        let count = input.backed(count, T::TYPE.minimum_size().max(1), limit, "elements")?;
        load_elements(input, count, cx)
    }
    fn save_counted(&self, out: &mut Writer) {
        save_elements(self, out);
    }
    fn describe_counted(&self, name: &str) -> Vec<FieldDesc> {
        describe_elements(self, name)
    }
}

/// Reads `count` elements; the caller has checked that the input can back them.
pub(crate) fn load_elements<Cx: ?Sized, T: Field<Cx>>(
    input: &mut Reader<'_>,
    count: usize,
    cx: &Cx,
) -> Result<Vec<T>> {
    (0..count).map(|index| T::load(input, cx).map_err(|e| e.at_index(index))).collect()
}

/// Writes elements back to back.
pub fn save_elements<Cx: ?Sized, T: Field<Cx>>(elements: &[T], out: &mut Writer) {
    for element in elements {
        element.save(out);
    }
}

/// Describes the elements of an array: one entry for all where they are alike, else one for each.
pub fn describe_elements<Cx: ?Sized, T: Field<Cx>>(elements: &[T], name: &str) -> Vec<FieldDesc> {
    if let (Some(first), Some(_)) = (elements.first(), T::TYPE.fixed_size()) {
        let count = elements.len() as u64;
        let each = first.describe(name);
        return each.into_iter().map(|entry| FieldDesc { array_len: Some(count), ..entry }).collect();
    }
    let mut entries = Vec::new();
    for (index, element) in (0_u64..).zip(elements) {
        entries.extend(element.describe(name).into_iter().map(|e| FieldDesc { index: Some(index), ..e }));
    }
    entries
}
