//! Elements in flight as fields of a device's state.

use vmstate::{Field, Reader, Result, Type, Typed, Writer};

use crate::core::BeforeSubsections;
use crate::element::Element;
use crate::shape::Switches;

/// What is known while a device's data is read, as far as the layout of elements depends on it.
pub trait HasSwitches {
    /// Properties that change the layout.
    fn switches(&self) -> Switches;
}

impl HasSwitches for BeforeSubsections {
    fn switches(&self) -> Switches {
        self.shape.switches
    }
}

impl Typed for Element {
    const TYPE: Type = Type::Opaque { name: "virtqueue element" };
}

impl<Cx: HasSwitches + ?Sized> Field<Cx> for Element {
    fn load(input: &mut Reader<'_>, cx: &Cx) -> Result<Self> {
        Self::load(input, cx.switches())
    }

    fn save(&self, out: &mut Writer) {
        self.save(out);
    }
}
