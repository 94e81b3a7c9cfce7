//! An object as a source of bytes.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt};
use parking_lot::Mutex;
use vmstate::source::Source;

use super::cache::Cache;
use super::client::Address;
use super::runtime::wait;
use crate::Error;

/// An object, as it was when it was opened.
struct Object {
    address: Address,
    len: u64,
    /// What the store calls this version: if it is replaced, reading fails.
    version: Option<String>,
    cache: Mutex<Cache>,
}

/// Opens an object: asks how long it is.
pub(crate) fn open(url: &str) -> Result<Box<dyn Source>, Error> {
    Ok(Box::new(Object::open(Address::parse(url)?)?))
}

impl Object {
    fn open(address: Address) -> Result<Self, Error> {
        let (store, path) = (address.store.clone(), address.path.clone());
        let meta = wait(async move { store.head(&path).await });
        let meta = meta.map_err(|error| Error::Open { file: address.url.to_string(), error })?;
        let ObjectMeta { size, e_tag, .. } = meta.map_err(|error| address.error(&error))?;
        Ok(Self { address, len: size, version: e_tag, cache: Mutex::default() })
    }

    fn fetch(&self, range: Range<u64>) -> io::Result<Bytes> {
        let Address { store, path, .. } = self.address.clone();
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            // Weak tags name no bytes.
            if_match: self.version.clone().filter(|version| !version.starts_with("W/")),
            ..GetOptions::default()
        };
        let bytes = wait(async move { store.get_opts(&path, options).await?.bytes().await })?;
        let bytes = bytes.map_err(|error| io::Error::other(self.address.error(&error)))?;
        let expected = range.end - range.start;
        if bytes.len() as u64 == expected {
            return Ok(bytes);
        }
        let found = bytes.len();
        let text = format!("{}: {found} bytes came for a range of {expected}", self.address.url);
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, text))
    }
}

impl Source for Object {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        if offset >= self.len || buf.is_empty() {
            return Ok(0);
        }
        let mut cache = self.cache.lock();
        let bytes = match cache.get(offset) {
            Some(bytes) => bytes,
            None => {
                let range = cache.wanted(offset, buf.len(), self.len);
                cache.put(range.start, self.fetch(range)?);
                cache.get(offset).ok_or(io::ErrorKind::UnexpectedEof)?
            }
        };
        drop(cache);
        buf.iter_mut().zip(&bytes).for_each(|(to, &from)| *to = from);
        Ok(bytes.len().min(buf.len()))
    }
}
