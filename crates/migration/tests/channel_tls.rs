//! Channels under TLS: who is let in, and both directions at once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::fs;
use std::io::{IoSlice, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use migration::channel::{Address, Channel, Doing, Error, Listener, Patience, Settings, Tls};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use tempfile::TempDir;

/// A CA, and directories as `tls-creds-x509` takes them.
struct Authority(CertifiedIssuer<'static, KeyPair>);

const SERVER: u64 = 7;
const CLIENT: u64 = 8;

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A directory with the CA's certificate and nothing else.
    fn directory(&self) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca-cert.pem"), self.0.pem()).unwrap();
        folder
    }

    /// Adds a certificate and its key.
    fn issue(&self, folder: &Path, side: &str, host: &str, serial: u64) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from(serial));
        let certificate = params.signed_by(&key, &self.0).unwrap();
        fs::write(folder.join(format!("{side}-cert.pem")), certificate.pem()).unwrap();
        fs::write(folder.join(format!("{side}-key.pem")), key.serialize_pem()).unwrap();
    }

    fn revoke(&self, folder: &Path, serial: u64) {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: rcgen::date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2024, 1, 1),
            next_update: rcgen::date_time_ymd(2124, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        fs::write(folder.join("ca-crl.pem"), list.signed_by(&self.0).unwrap().pem().unwrap()).unwrap();
    }

    /// The directories of both sides, with all they need.
    fn sides(&self) -> (TempDir, TempDir) {
        let (server, client) = (self.directory(), self.directory());
        self.issue(server.path(), "server", "127.0.0.1", SERVER);
        self.issue(client.path(), "client", "source.example", CLIENT);
        (server, client)
    }
}

fn settings(tls: Tls) -> Settings {
    let time = Duration::from_secs(20);
    Settings { accept: Some(time), handshake: time, tls: Some(tls), ..Settings::default() }
}

/// Connects both sides; gives what each makes of it.
fn meet(server: Tls, client: Tls) -> (Result<Channel, Error>, Result<Channel, Error>) {
    let mut listener = Listener::bind(&"tcp:127.0.0.1:0".parse().unwrap(), &settings(server)).unwrap();
    let address = listener.address().clone();
    let connecting = thread::spawn(move || Channel::connect(&address, &settings(client)));
    let accepted = listener.accept();
    (accepted, connecting.join().unwrap())
}

/// Both sides, which trust each other.
fn friends() -> (Channel, Channel) {
    let (server, client) = Authority::new("vmig test").sides();
    let (far, near) = meet(Tls::server(server.path(), true).unwrap(), Tls::client(client.path()).unwrap());
    (far.unwrap(), near.unwrap())
}

/// Bytes that differ at each place.
fn pattern(len: usize, seed: u32) -> Vec<u8> {
    let bytes = (0u32..).flat_map(|word| word.wrapping_mul(2_654_435_761).wrapping_add(seed).to_le_bytes());
    bytes.take(len).collect()
}

#[test]
fn both_directions_at_once() {
    const LEN: usize = 48 << 20;
    let (far, near) = friends();
    let end = |channel: Channel, sent: u32, expected: u32| {
        let (mut reading, mut writing) = channel.split();
        let writer = thread::spawn(move || {
            for chunk in pattern(LEN, sent).chunks(1 << 20) {
                writing.write_all(chunk).unwrap();
            }
            writing.close().unwrap();
        });
        let reader = thread::spawn(move || {
            let mut bytes = Vec::new();
            reading.read_to_end(&mut bytes).unwrap();
            assert!(bytes == pattern(LEN, expected), "{} of {LEN} bytes, or others", bytes.len());
            reading.close().unwrap();
        });
        [writer, reader]
    };
    let threads = [end(near, 1, 2), end(far, 2, 1)];
    threads.into_iter().flatten().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_writer_that_waits_does_not_hold_up_the_reader() {
    let (far, mut near) = friends();
    let (mut reading, mut writing) = far.split();
    let blocked = thread::spawn(move || writing.write_all(&pattern(32 << 20, 3)).unwrap());
    thread::sleep(Duration::from_millis(300));
    assert!(!blocked.is_finished(), "nobody reads yet");
    near.write_all(b"answer").unwrap();
    let mut answer = [0; 6];
    reading.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"answer");
    assert!(!blocked.is_finished());
    let mut bytes = vec![0; 32 << 20];
    near.read_exact(&mut bytes).unwrap();
    assert!(bytes == pattern(32 << 20, 3));
    blocked.join().unwrap();
}

#[test]
fn slices_and_peeking_are_as_without_tls() {
    let (mut far, mut near) = friends();
    assert_eq!(near.write_vectored(&[IoSlice::new(b"QE"), IoSlice::new(b"VM!")]).unwrap(), 5);
    assert_eq!(far.peek(4).unwrap(), b"QEVM");
    let mut bytes = [0; 5];
    far.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"QEVM!");
    near.close().unwrap();
    assert_eq!(far.read(&mut bytes).unwrap(), 0);
}

#[test]
fn a_connection_cut_short_ends() {
    let (mut far, mut near) = friends();
    near.write_all(b"part").unwrap();
    drop(near);
    let mut bytes = Vec::new();
    far.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"part");
}

#[test]
fn a_client_needs_a_certificate_if_it_is_asked_for() {
    let authority = Authority::new("vmig test");
    let (server, _) = authority.sides();
    let nobody = authority.directory();
    let client = || Tls::client(nobody.path()).unwrap();

    let (far, near) = meet(Tls::server(server.path(), true).unwrap(), client());
    let error = far.unwrap_err().to_string();
    assert!(error.contains("peer sent no certificates; the client sends no certificate"), "{error}");
    // The client learns of it with what it does next.
    let mut near = near.unwrap();
    thread::sleep(Duration::from_millis(100));
    let written = (0..100).find_map(|_| near.write(&[0; 1 << 16]).err()).unwrap().to_string();
    assert!(written.contains("CertificateRequired"), "{written}");
    assert!(written.contains("put client-cert.pem and client-key.pem into the TLS directory"), "{written}");

    let (far, near) = meet(Tls::server(server.path(), false).unwrap(), client());
    near.unwrap().write_all(b"x").unwrap();
    far.unwrap().read_exact(&mut [0]).unwrap();
}

#[test]
fn another_ca_is_refused() {
    let (server, client) = Authority::new("vmig test").sides();
    let (strange_server, strange_client) = Authority::new("stranger").sides();

    let (far, near) =
        meet(Tls::server(strange_server.path(), true).unwrap(), Tls::client(client.path()).unwrap());
    let error = near.unwrap_err();
    assert!(matches!(error, Error::Tls { doing: Doing::Handshaking, .. }), "{error}");
    assert!(error.to_string().contains("the CA in ca-cert.pem has signed"), "{error}");
    assert!(far.unwrap_err().to_string().contains("UnknownCA"));

    let (far, _) = meet(Tls::server(server.path(), true).unwrap(), {
        // It trusts the server, and comes with a certificate of its own CA.
        fs::copy(client.path().join("ca-cert.pem"), strange_client.path().join("ca-cert.pem")).unwrap();
        Tls::client(strange_client.path()).unwrap()
    });
    let error = far.unwrap_err().to_string();
    assert!(error.contains("the CA in ca-cert.pem has signed"), "{error}");
}

#[test]
fn the_certificate_names_the_host() {
    let authority = Authority::new("vmig test");
    let (server, client) = authority.sides();
    authority.issue(server.path(), "server", "host.example", SERVER);
    let server = || Tls::server(server.path(), true).unwrap();
    let client = || Tls::client(client.path()).unwrap();

    let error = meet(server(), client()).1.unwrap_err().to_string();
    assert!(error.contains("give that as the hostname"), "{error}");
    let (far, near) = meet(server(), client().with_hostname("host.example"));
    assert!(far.is_ok() && near.is_ok());
}

#[test]
fn a_unix_socket_needs_the_name_of_the_host() {
    let (server, client) = Authority::new("vmig test").sides();
    let folder = tempfile::tempdir().unwrap();
    let address: Address = format!("unix:{}", folder.path().join("a.sock").display()).parse().unwrap();
    let server = Tls::server(server.path(), true).unwrap();
    let client = Tls::client(client.path()).unwrap();
    let mut listener = Listener::bind(&address, &settings(server)).unwrap();

    let error = Channel::connect(&address, &settings(client.clone())).unwrap_err();
    assert!(matches!(error, Error::NoHostname { .. }), "{error}");
    assert!(matches!(listener.accept().unwrap_err(), Error::HandshakeEnded { .. }));

    let connecting =
        thread::spawn(move || Channel::connect(&address, &settings(client.with_hostname("127.0.0.1"))));
    listener.accept().unwrap();
    connecting.join().unwrap().unwrap();
}

#[test]
fn a_revoked_certificate_is_refused() {
    let authority = Authority::new("vmig test");
    let (server, client) = authority.sides();
    authority.revoke(server.path(), CLIENT);
    let (far, _) = meet(Tls::server(server.path(), true).unwrap(), Tls::client(client.path()).unwrap());
    let error = far.unwrap_err().to_string();
    assert!(error.contains("ca-crl.pem revokes it"), "{error}");
}

#[test]
fn a_peer_without_tls_or_without_a_word_is_told_of() {
    let (server, _) = Authority::new("vmig test").sides();
    let handshake = Duration::from_millis(300);
    let settings = Settings { handshake, ..settings(Tls::server(server.path(), true).unwrap()) };
    let mut listener = Listener::bind(&"tcp:127.0.0.1:0".parse().unwrap(), &settings).unwrap();
    let Address::Tcp { port, .. } = *listener.address() else { panic!("{}", listener.address()) };

    let mut plain = TcpStream::connect(("127.0.0.1", port)).unwrap();
    plain.write_all(b"QEVM\0\0\0\x03\x07").unwrap();
    let error = listener.accept().unwrap_err().to_string();
    assert!(error.contains("what the peer sends is no TLS"), "{error}");

    let silent = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let start = Instant::now();
    let error = listener.accept().unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(2));
    assert!(matches!(error, Error::TimedOut { doing: Doing::Handshaking, .. }), "{error}");
    drop(silent);
}

#[test]
fn a_peer_that_goes_silent_has_stalled() {
    let (mut far, near) = friends();
    far.halves().0.set_patience(Patience::any_within(Duration::from_millis(300)));
    let error = far.read(&mut [0]).unwrap_err();
    assert!(matches!(Error::of(&error), Some(Error::Stalled { moved: 0, .. })), "{error}");
    drop(near);
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let authority = Authority::new("vmig test");
    let (server, client) = authority.sides();
    let says = |outcome: Result<Tls, Error>, file: &str, reason: &str| {
        let error = outcome.unwrap_err();
        assert!(matches!(&error, Error::Credentials { file: found, .. } if found.ends_with(file)), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    };
    let in_client = |name: &str| client.path().join(name);
    says(Tls::server(client.path(), true), "server-cert.pem", "it is missing; expected a certificate");
    fs::remove_file(in_client("client-cert.pem")).unwrap();
    says(Tls::client(client.path()), "client-cert.pem", "it is missing");
    fs::copy(server.path().join("server-cert.pem"), in_client("client-cert.pem")).unwrap();
    says(Tls::client(client.path()), "client-key.pem", "does not go with client-cert.pem");
    fs::write(in_client("client-key.pem"), "nothing").unwrap();
    says(Tls::client(client.path()), "client-key.pem", "expected a private key");
    fs::write(in_client("ca-crl.pem"), "nothing").unwrap();
    says(Tls::client(client.path()), "ca-crl.pem", "expected a revocation list in PEM, found none");
    fs::write(in_client("ca-cert.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    says(Tls::client(client.path()), "ca-cert.pem", "");
    fs::remove_file(in_client("ca-cert.pem")).unwrap();
    says(Tls::client(client.path()), "ca-cert.pem", "it is missing; expected a certificate of a CA");
}
