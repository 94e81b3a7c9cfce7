//! A value that lives in guest memory: what a guest remembers between two steps is there, and nowhere else.

use std::marker::PhantomData;

use vm_memory::{Bytes, GuestAddress};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::Fault;
use crate::ram::Memory;

/// A value in guest memory.
#[derive(Debug)]
pub struct Cell<T> {
    at: u64,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for Cell<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Cell<T> {}

impl<T: FromBytes + IntoBytes + Immutable> Cell<T> {
    /// The value at a guest address.
    #[must_use]
    pub fn at(at: u64) -> Self {
        Self { at, of: PhantomData }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.at
    }

    /// Reads it.
    ///
    /// # Errors
    /// If it is not in memory.
    pub fn load(&self, memory: &Memory) -> Result<T, Fault> {
        let mut value = T::new_zeroed();
        memory.read_slice(value.as_mut_bytes(), GuestAddress(self.at)).map_err(|_| Fault::at(self.at))?;
        Ok(value)
    }

    /// Writes it.
    ///
    /// # Errors
    /// If it is not in memory.
    pub fn store(&self, value: &T, memory: &Memory) -> Result<(), Fault> {
        memory.write_slice(value.as_bytes(), GuestAddress(self.at)).map_err(|_| Fault::at(self.at))
    }

    /// Changes it.
    ///
    /// # Errors
    /// If it is not in memory, or those of `change`: it is as it was then.
    pub fn update<R>(
        &self,
        memory: &Memory,
        change: impl FnOnce(&mut T) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let mut value = self.load(memory)?;
        let result = change(&mut value)?;
        self.store(&value, memory)?;
        Ok(result)
    }
}
