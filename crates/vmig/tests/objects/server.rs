//! A server on loopback that speaks enough of S3 to be read from, and counts what it sends.
#![expect(clippy::indexing_slicing, reason = "a test may panic")]

use std::fs::{self, File};
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use tiny_http::{Header, Method, Request, Response, StatusCode};

/// Buckets are the folders of a folder.
pub(crate) struct Server {
    http: Arc<tiny_http::Server>,
    sent: Arc<AtomicU64>,
    requests: Arc<AtomicU64>,
}

impl Server {
    /// Serves a folder. Who does not sign requests is refused.
    pub(crate) fn s3(folder: &Path) -> Self {
        Self::start(folder, true)
    }

    /// Serves a folder to everybody.
    pub(crate) fn http(folder: &Path) -> Self {
        Self::start(folder, false)
    }

    fn start(folder: &Path, signed: bool) -> Self {
        let http = Arc::new(tiny_http::Server::http("127.0.0.1:0").unwrap());
        let server = Self { http, sent: Arc::default(), requests: Arc::default() };
        for _ in 0..4 {
            let (http, sent, requests) = (server.http.clone(), server.sent.clone(), server.requests.clone());
            let folder = folder.to_owned();
            thread::spawn(move || {
                while let Ok(request) = http.recv() {
                    requests.fetch_add(1, Ordering::Relaxed);
                    answer(request, &folder, signed, &sent);
                }
            });
        }
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.http.server_addr())
    }

    /// Bytes of objects that were sent, and requests that were answered, since this was last asked.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.sent.swap(0, Ordering::Relaxed), self.requests.swap(0, Ordering::Relaxed))
    }

    /// Runs `vmig` with this server as S3.
    pub(crate) fn vmig(&self, arguments: &str) -> Output {
        let mut vmig = Command::new(env!("CARGO_BIN_EXE_vmig"));
        vmig.args(arguments.split_whitespace()).current_dir(crate::common::project());
        vmig.env("AWS_ENDPOINT_URL", self.url()).env("AWS_ALLOW_HTTP", "true").env("AWS_REGION", "us-east-1");
        vmig.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "secret");
        vmig.output().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        (0..4).for_each(|_| self.http.unblock());
    }
}

fn header(name: &str, value: &str) -> Header {
    Header::from_bytes(name, value).unwrap()
}

fn value(request: &Request, name: &'static str) -> Option<String> {
    let found = request.headers().iter().find(|header| header.field.equiv(name))?;
    Some(found.value.to_string())
}

fn answer(request: Request, folder: &Path, signed: bool, sent: &AtomicU64) {
    let is_signed =
        value(&request, "Authorization").is_some_and(|text| text.starts_with("AWS4-HMAC-SHA256 "));
    if signed && !is_signed {
        return refuse(request, 403, "AccessDenied");
    }
    let url = request.url().to_owned();
    let (path, query) = url.split_once('?').unwrap_or((&url, ""));
    let path = folder.join(decoded(path.trim_start_matches('/')));
    if query.contains("list-type=2") {
        let prefix = query.split('&').find_map(|pair| pair.strip_prefix("prefix=")).unwrap_or_default();
        let xml = listing(&path, &decoded(prefix));
        let response = Response::from_data(xml).with_header(header("Content-Type", "application/xml"));
        return request.respond(response).unwrap();
    }
    match File::open(&path) {
        Ok(file) if path.is_file() => object(request, file, sent),
        _ => refuse(request, 404, "NoSuchKey"),
    }
}

/// Sends an object, or the range of it that is asked for.
fn object(request: Request, mut file: File, sent: &AtomicU64) {
    let meta = file.metadata().unwrap();
    let tag = format!("\"{:x}-{:?}\"", meta.len(), meta.modified().unwrap()).replace(' ', "");
    if value(&request, "If-Match").is_some_and(|wanted| wanted != tag) {
        return refuse(request, 412, "PreconditionFailed");
    }
    let range = value(&request, "Range").map(|range| {
        let (from, to) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        (from.parse().unwrap(), to.parse::<u64>().unwrap().min(meta.len() - 1))
    });
    let (from, to) = range.unwrap_or((0, meta.len() - 1));
    let length = to + 1 - from;
    let mut headers = vec![header("ETag", &tag), header("Last-Modified", "Wed, 25 Nov 2026 12:00:00 GMT")];
    headers.push(header("Accept-Ranges", "bytes"));
    if range.is_some() {
        headers.push(header("Content-Range", &format!("bytes {from}-{to}/{}", meta.len())));
    }
    if *request.method() == Method::Get {
        sent.fetch_add(length, Ordering::Relaxed);
    }
    file.seek(SeekFrom::Start(from)).unwrap();
    let status = StatusCode(if range.is_some() { 206 } else { 200 });
    let body = file.take(length);
    let response = Response::new(status, headers, body, usize::try_from(length).ok(), None);
    // The other end may be gone.
    request.respond(response.with_chunked_threshold(usize::MAX)).ok();
}

fn refuse(request: Request, status: u16, code: &str) {
    let xml = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{code}</Message></Error>");
    let length = xml.len();
    let response = Response::new(StatusCode(status), Vec::new(), Cursor::new(xml), Some(length), None);
    request.respond(response).ok();
}

/// The answer of ListObjectsV2.
fn listing(bucket: &Path, prefix: &str) -> String {
    let mut keys = Vec::new();
    walk(bucket, &mut keys);
    let mut xml = "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>false</IsTruncated>".to_owned();
    for path in keys {
        let key = path.strip_prefix(bucket).unwrap().to_str().unwrap();
        if key.starts_with(prefix) {
            let size = path.metadata().unwrap().len();
            let date = "2026-11-25T12:00:00.000Z";
            xml += &format!(
                "<Contents><Key>{key}</Key><LastModified>{date}</LastModified><Size>{size}</Size></Contents>"
            );
        }
    }
    xml + "</ListBucketResult>"
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, files) } else { files.push(path) }
    }
}

/// Undoes percent-encoding.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = (*first == b'%').then(|| u8::from_str_radix(text_of(&tail[..2]), 16).unwrap());
        bytes.push(hex.unwrap_or(*first));
        rest = if hex.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).unwrap()
}

fn text_of(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}
