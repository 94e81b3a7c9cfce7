//! Streams in object stores: `s3://`, `gs://`, `az://` and plain `https://`.
//!
//! Objects are read by ranges, so that of a large one only that is fetched which is looked at. Credentials
//! and endpoints come from the environment, under the names that the tools of each store use (`AWS_…`,
//! `GOOGLE_…`, `AZURE_…`). Requests run on a runtime of their own: nothing async is seen from outside.

#[cfg(feature = "object-store")]
mod cache;
#[cfg(feature = "object-store")]
mod client;
#[cfg(feature = "object-store")]
mod listing;
#[cfg(feature = "object-store")]
mod object;
#[cfg(feature = "object-store")]
mod runtime;

#[cfg(feature = "object-store")]
pub(crate) use {listing::list, object::open};

/// How the addresses of objects begin.
const SCHEMES: [&str; 5] = ["s3", "gs", "az", "https", "http"];

/// Whether a path is the address of an object.
pub(crate) fn is_url(path: &str) -> bool {
    path.split_once("://").is_some_and(|(scheme, _)| SCHEMES.contains(&scheme))
}

#[cfg(not(feature = "object-store"))]
mod absent {
    //! What is said where object stores are left out.

    use crate::{Entry, Error};

    fn refusal(url: &str) -> Error {
        let error = "this build reads no object stores".to_owned();
        Error::Store { url: url.to_owned(), error, help: "build it with the feature `object-store`" }
    }

    pub(crate) fn open(url: &str) -> Result<Box<dyn vmstate::source::Source>, Error> {
        Err(refusal(url))
    }

    pub(crate) fn list(url: &str) -> Result<Vec<Entry>, Error> {
        Err(refusal(url))
    }
}
#[cfg(not(feature = "object-store"))]
pub(crate) use absent::{list, open};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_files() {
        assert!(["s3://bucket/a.mig", "gs://b/c", "az://b/c", "https://host/x"].into_iter().all(is_url));
        assert!(
            !["guest.mig", "-", "/srv/s3/a", "s3:bucket", "qmp:/run/x", "file://x"].into_iter().any(is_url)
        );
    }
}
