//! The objects below a prefix.

use futures_util::TryStreamExt;
use object_store::{ObjectMeta, ObjectStore};
use url::Url;

use super::client::Address;
use super::runtime::wait;
use crate::{Entry, Error};

/// Lists the objects below a prefix, as [`list`](crate::list) does the files below a folder.
pub(crate) fn list(url: &str) -> Result<Vec<Entry>, Error> {
    let address = Address::parse(url)?;
    let (store, prefix) = (address.store.clone(), address.path.clone());
    let found = wait(async move { store.list(Some(&prefix)).try_collect::<Vec<ObjectMeta>>().await });
    let found = found.map_err(|error| Error::Open { file: url.to_owned(), error })?;
    let found = found.map_err(|error| address.error(&error))?;
    let mut entries: Vec<Entry> = found.iter().filter_map(|meta| entry(&address, meta)).collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// An object, unless it is what stands for a folder.
fn entry(address: &Address, meta: &ObjectMeta) -> Option<Entry> {
    let parts = meta.location.prefix_match(&address.path)?;
    let name = parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/");
    let file = below(&address.url, &name);
    (!name.is_empty()).then_some(Entry { name, file: Ok(file) })
}

/// The address of what is called `name` below another address.
fn below(folder: &Url, name: &str) -> String {
    let mut url = folder.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(name.split('/'));
    }
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_part_of_an_address() {
        for folder in ["s3://bucket/saved", "s3://bucket/saved/"] {
            let url = Url::parse(folder).unwrap();
            assert_eq!(below(&url, "a/b 1#2?.mig"), "s3://bucket/saved/a/b%201%232%3F.mig");
        }
        assert_eq!(below(&Url::parse("s3://bucket").unwrap(), "a"), "s3://bucket/a");
    }
}
