//! From the address of an object to a client of its store.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, ObjectStoreScheme, RetryConfig};
use parking_lot::Mutex;
use url::{Position, Url};

use crate::Error;

/// How often a request that failed is sent again, and for how long.
const RETRIES: usize = 3;
const PATIENCE: Duration = Duration::from_secs(30);

/// An address, and what answers there.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub(super) url: Url,
    pub(super) store: Arc<dyn ObjectStore>,
    /// The object or the prefix, as the store names it.
    pub(super) path: Path,
    help: &'static Help,
}

/// What to look at when a store refuses.
#[derive(Debug)]
struct Help {
    credentials: &'static str,
    endpoint: &'static str,
}

impl Address {
    /// Reads an address, and makes a client. Nothing is sent yet.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |error: String, help| Error::Store { url: text.to_owned(), error, help };
        let usual =
            "an address is as s3://bucket/path, gs://bucket/path, az://container/path or https://host/path";
        let url = Url::parse(text).map_err(|error| wrong(error.to_string(), usual))?;
        if url.query().is_some() || url.fragment().is_some() {
            let help =
                "leave it out, and give credentials in the environment; in a path ? is %3F and # is %23";
            return Err(wrong("an address with a query or fragment".to_owned(), help));
        }
        let (scheme, path) =
            ObjectStoreScheme::parse(&url).map_err(|error| wrong(error.to_string(), usual))?;
        let help = help_for(&scheme);
        let store = client(&scheme, &url).map_err(|error| wrong(error.to_string(), help.credentials))?;
        Ok(Self { url, store, path, help })
    }

    /// An error of the store as ours, with what to do.
    pub(super) fn error(&self, error: &object_store::Error) -> Error {
        use object_store::Error as Of;
        let help = match error {
            Of::NotFound { .. } => "is the path right, and does the bucket exist?",
            Of::PermissionDenied { .. } | Of::Unauthenticated { .. } => self.help.credentials,
            Of::Precondition { .. } => "the object was written anew while it was read; run it again",
            Of::NotImplemented { .. } | Of::NotSupported { .. } => "download the object, and give the file",
            _ => self.help.endpoint,
        };
        Error::Store { url: self.url.to_string(), error: error.to_string(), help }
    }
}

fn help_for(scheme: &ObjectStoreScheme) -> &'static Help {
    match scheme {
        ObjectStoreScheme::AmazonS3 => &Help {
            credentials: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), or \
                          AWS_SKIP_SIGNATURE=true for what everybody may read",
            endpoint: "does the server answer? AWS_ENDPOINT_URL says where it is, AWS_REGION in which region, and \
                       AWS_ALLOW_HTTP=true that it may be without TLS",
        },
        ObjectStoreScheme::GoogleCloudStorage => &Help {
            credentials: "set GOOGLE_SERVICE_ACCOUNT to the file of a service account's key, or \
                          GOOGLE_SKIP_SIGNATURE=true for what everybody may read",
            endpoint: "does the server answer? GOOGLE_BASE_URL says where it is if not at Google",
        },
        ObjectStoreScheme::MicrosoftAzure => &Help {
            credentials: "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or \
                          AZURE_SKIP_SIGNATURE=true for what everybody may read",
            endpoint: "does the server answer? AZURE_STORAGE_ENDPOINT says where it is if not at Azure",
        },
        _ => &Help {
            credentials: "vmig sends no credentials there; download the object, and give the file",
            endpoint: "does the server answer, and to requests for ranges? A list of files needs WebDAV (PROPFIND)",
        },
    }
}

/// A client for the store of an address; the one there is already, if it is of the same bucket.
fn client(scheme: &ObjectStoreScheme, url: &Url) -> object_store::Result<Arc<dyn ObjectStore>> {
    static CLIENTS: LazyLock<Mutex<HashMap<String, Arc<dyn ObjectStore>>>> = LazyLock::new(Mutex::default);

    let place = &url[..Position::BeforePath];
    let names_bucket = url.scheme() != "https" || *scheme == ObjectStoreScheme::Http;
    if let Some(client) = CLIENTS.lock().get(place).filter(|_| names_bucket) {
        return Ok(client.clone());
    }
    // The cryptography that the rest of the tree uses. If a program has chosen another, that stays.
    rustls::crypto::ring::default_provider().install_default().ok();
    let retry = RetryConfig { max_retries: RETRIES, retry_timeout: PATIENCE, ..RetryConfig::default() };
    let client: Arc<dyn ObjectStore> = match scheme {
        ObjectStoreScheme::AmazonS3 => {
            Arc::new(AmazonS3Builder::from_env().with_url(url.as_str()).with_retry(retry).build()?)
        }
        ObjectStoreScheme::GoogleCloudStorage => {
            Arc::new(GoogleCloudStorageBuilder::from_env().with_url(url.as_str()).with_retry(retry).build()?)
        }
        ObjectStoreScheme::MicrosoftAzure => {
            Arc::new(MicrosoftAzureBuilder::from_env().with_url(url.as_str()).with_retry(retry).build()?)
        }
        _ => {
            let options = ClientOptions::new().with_allow_http(url.scheme() == "http");
            Arc::new(
                HttpBuilder::new().with_url(place).with_client_options(options).with_retry(retry).build()?,
            )
        }
    };
    if names_bucket {
        CLIENTS.lock().insert(place.to_owned(), client.clone());
    }
    Ok(client)
}
