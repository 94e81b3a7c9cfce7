//! Channels of every kind on this machine, and everything that ends them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::fs;
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, IntoRawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::{Duration, Instant};

use migration::channel::{Address, Cancel, Channel, Doing, Error, Listener, Patience, Settings};

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// Settings under which nothing takes long.
fn soon() -> Settings {
    let time = Duration::from_millis(300);
    let patience = Patience { window: time, bytes: 4096 };
    Settings {
        connect: time,
        accept: Some(time),
        handshake: time,
        close: time,
        patience,
        ..Settings::default()
    }
}

/// Two ends of one channel.
fn pair(text: &str, settings: &Settings) -> (Channel, Channel) {
    let mut listener = Listener::bind(&address(text), settings).unwrap();
    let near = Channel::connect(listener.address(), settings).unwrap();
    (near, listener.accept().unwrap())
}

fn error_of(error: &std::io::Error) -> &Error {
    Error::of(error).unwrap_or_else(|| panic!("not an error of a channel: {error}"))
}

/// Bytes that differ at each place.
fn pattern(len: usize, seed: u32) -> Vec<u8> {
    let bytes = (0u32..).flat_map(|word| word.wrapping_mul(2_654_435_761).wrapping_add(seed).to_le_bytes());
    bytes.take(len).collect()
}

/// Sends and receives on both ends at the same time.
fn both_ways(near: Channel, far: Channel, len: usize) {
    let end = |channel: Channel, sent: u32, expected: u32| {
        let (mut reading, mut writing) = channel.split();
        let writer = thread::spawn(move || {
            writing.write_all(&pattern(len, sent)).unwrap();
            writing.close().unwrap();
        });
        let reader = thread::spawn(move || {
            let mut bytes = Vec::new();
            reading.read_to_end(&mut bytes).unwrap();
            assert!(bytes == pattern(len, expected), "{} of {len} bytes, or others", bytes.len());
            reading.close().unwrap();
        });
        [writer, reader]
    };
    let threads = [end(near, 1, 2), end(far, 2, 1)];
    threads.into_iter().flatten().for_each(|thread| thread.join().unwrap());
}

#[test]
fn sockets_carry_both_ways_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let unix = format!("unix:{}", folder.path().join("a.sock").display());
    for text in ["tcp:127.0.0.1:0", "tcp:localhost:0", &unix] {
        let (near, far) = pair(text, &Settings::default());
        assert!(near.is_duplex() && far.is_duplex());
        both_ways(near, far, 8 << 20);
    }
    assert!(!folder.path().join("a.sock").exists(), "the socket goes with its listener");
}

#[test]
fn any_interface_takes_ipv4_and_a_listener_several_channels() {
    let settings = soon();
    let mut listener = Listener::bind(&address("tcp::0"), &settings).unwrap();
    let Address::Tcp { port, .. } = *listener.address() else { panic!("{}", listener.address()) };
    assert_ne!(port, 0);
    for number in 0..4u8 {
        let mut near = Channel::connect(&address(&format!("tcp:127.0.0.1:{port}")), &settings).unwrap();
        near.write_all(&[number]).unwrap();
        let mut far = listener.accept().unwrap();
        let mut byte = [0];
        far.read_exact(&mut byte).unwrap();
        assert_eq!(byte, [number]);
        assert!(far.name().contains("(from "), "{}", far.name());
    }
}

#[test]
fn slices_go_through_as_they_are() {
    let (mut near, mut far) = pair("tcp:127.0.0.1:0", &soon());
    let sent = near.write_vectored(&[IoSlice::new(b"QEVM"), IoSlice::new(b""), IoSlice::new(b"\0\0\0\x03")]);
    assert_eq!(sent.unwrap(), 8);
    let (mut magic, mut version) = ([0; 4], [0; 4]);
    far.peek(8).unwrap();
    assert_eq!(far.read_vectored(&mut [IoSliceMut::new(&mut magic)]).unwrap(), 4);
    assert_eq!(far.read_vectored(&mut [IoSliceMut::new(&mut []), IoSliceMut::new(&mut version)]).unwrap(), 4);
    assert_eq!((&magic, version), (b"QEVM", [0, 0, 0, 3]));
    near.write_all(b"abcdef").unwrap();
    assert_eq!(far.peek(6).unwrap(), b"abcdef");
    let mut rest = [0; 6];
    far.read_exact(&mut rest).unwrap();
    // More slices than one call takes.
    let many = vec![IoSlice::new(b"x"); 5000];
    assert_eq!(near.write_vectored(&many).unwrap(), 1024);
    let mut bytes = [0; 1024];
    far.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, [b'x'; 1024]);
}

#[test]
fn what_was_peeked_at_is_read_again() {
    let (mut near, mut far) = pair("tcp:127.0.0.1:0", &soon());
    near.write_all(&[0x11, 0x22]).unwrap();
    assert_eq!(far.peek(1).unwrap(), [0x11]);
    near.write_all(&[0x33, 0x44, 5]).unwrap();
    assert_eq!(far.peek(4).unwrap(), [0x11, 0x22, 0x33, 0x44]);
    assert_eq!(far.peek(2).unwrap(), [0x11, 0x22]);
    near.close().unwrap();
    let mut bytes = Vec::new();
    far.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, [0x11, 0x22, 0x33, 0x44, 5]);
    assert!(far.peek(4).unwrap().is_empty(), "the end is fewer bytes, and no error");
}

#[test]
fn a_file_keeps_what_is_before_the_offset() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guest.mig");
    fs::write(&path, b"head of another, and much more").unwrap();
    let text = format!("file:{},offset=4", path.display());
    let mut channel = Channel::connect(&address(&text), &soon()).unwrap();
    assert!(!channel.is_duplex());
    channel.write_all(b"QEVM").unwrap();
    let error = channel.read(&mut [0]).unwrap_err();
    assert!(matches!(error_of(&error), Error::OneWay { doing: Doing::Reading, .. }), "{error}");
    channel.close().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"headQEVM");

    let mut listener = Listener::bind(&address(&text), &soon()).unwrap();
    let mut bytes = Vec::new();
    listener.accept().unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"QEVM");
    let error = listener.accept().unwrap_err();
    assert!(matches!(error, Error::OnlyOne { .. }), "{error}");

    let new = folder.path().join("new.mig");
    drop(Channel::connect(&address(&format!("file:{},offset=1M", new.display())), &soon()).unwrap());
    let made = fs::metadata(&new).unwrap();
    assert_eq!((made.len(), made.permissions().mode() & 0o077), (1 << 20, 0));
    let error = Channel::connect(&address("file:/nowhere/at/all"), &soon()).unwrap_err();
    assert!(error.to_string().starts_with("cannot open file:/nowhere/at/all: No such file"), "{error}");
}

#[test]
fn a_command_is_a_channel_both_ways() {
    let channel = Channel::connect(&address("exec:cat"), &soon()).unwrap();
    let (mut reading, mut writing) = channel.split();
    let sent = pattern(4 << 20, 9);
    let writer = thread::spawn(move || {
        writing.write_all(&pattern(4 << 20, 9)).unwrap();
        writing.close().unwrap();
    });
    let mut bytes = Vec::new();
    reading.read_to_end(&mut bytes).unwrap();
    assert!(bytes == sent);
    writer.join().unwrap();
    reading.close().unwrap();
}

#[test]
fn a_command_that_fails_or_stays_is_told_of() {
    let channel = Channel::connect(&address("exec:cat > /dev/null; exit 3"), &soon()).unwrap();
    let error = channel.close().unwrap_err();
    assert!(matches!(error, Error::Command { status, .. } if status.code() == Some(3)), "{error}");

    let start = Instant::now();
    let channel = Channel::connect(&address("exec:sleep 60"), &soon()).unwrap();
    let error = channel.close().unwrap_err();
    assert!(matches!(error, Error::CommandKilled { .. }), "{error}");
    drop(Channel::connect(&address("exec:sleep 60"), &soon()).unwrap());
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_silent_peer_has_stalled() {
    let (_near, mut far) = pair("tcp:127.0.0.1:0", &soon());
    let error = far.read(&mut [0]).unwrap_err();
    match error_of(&error) {
        Error::Stalled { doing: Doing::Reading, moved: 0, expected: 4096, waited, .. } => {
            assert!(*waited >= Duration::from_millis(300) && *waited < Duration::from_secs(2));
        }
        other => panic!("{other}"),
    }
    assert!(error.to_string().starts_with("stalled reading from tcp:127.0.0.1:"), "{error}");
}

#[test]
fn a_dripping_peer_has_stalled() {
    let (mut near, mut far) = pair("tcp:127.0.0.1:0", &soon());
    let dripping = thread::spawn(move || {
        while near.write_all(&[0]).is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let start = Instant::now();
    let error = far.read_exact(&mut [0; 1 << 16]).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(3));
    assert!(matches!(error_of(&error), Error::Stalled { moved: 1.., .. }), "{error}");
    drop(far);
    dripping.join().unwrap();
}

#[test]
fn a_peer_that_takes_nothing_has_stalled_and_time_not_spent_waiting_does_not_count() {
    let (mut near, _far) = pair("tcp:127.0.0.1:0", &soon());
    near.write_all(b"a").unwrap();
    thread::sleep(Duration::from_millis(700));
    near.write_all(b"b").unwrap();
    let error = near.write_all(&vec![0; 64 << 20]).unwrap_err();
    assert!(matches!(error_of(&error), Error::Stalled { doing: Doing::Writing, .. }), "{error}");
}

#[test]
fn patience_can_be_changed() {
    let (mut near, mut far) = pair("tcp:127.0.0.1:0", &soon());
    far.halves().0.set_patience(Patience::ENDLESS);
    let late = thread::spawn(move || {
        thread::sleep(Duration::from_millis(800));
        near.write_all(b"!").unwrap();
    });
    far.read_exact(&mut [0]).unwrap();
    late.join().unwrap();
}

/// Runs what waits for ever, and cancels it.
#[track_caller]
fn cancelled(doing: Doing, wait: impl FnOnce(&Settings) -> Result<(), Error> + Send + 'static) {
    let cancel = Cancel::new();
    let settings =
        Settings { accept: None, patience: Patience::ENDLESS, cancel: cancel.child(), ..Settings::default() };
    let waiting = thread::spawn(move || wait(&settings));
    thread::sleep(Duration::from_millis(200));
    assert!(!waiting.is_finished(), "it should wait");
    let start = Instant::now();
    cancel.cancel();
    let error = waiting.join().unwrap().unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(1));
    assert!(matches!(error, Error::Cancelled { doing: found, .. } if found == doing), "{error}");
}

/// The channel's own error of what was read or written.
fn own<T>(outcome: std::io::Result<T>) -> Result<(), Error> {
    match outcome {
        Ok(_) => Ok(()),
        Err(error) => Err(*error.into_inner().unwrap().downcast().unwrap()),
    }
}

#[test]
fn cancelling_ends_all_waiting() {
    let tcp = "tcp:127.0.0.1:0";
    cancelled(Doing::Accepting, move |settings| {
        Listener::bind(&address(tcp), settings).unwrap().accept().map(drop)
    });
    cancelled(Doing::Reading, move |settings| own(pair(tcp, settings).1.read(&mut [0])));
    cancelled(Doing::Writing, move |settings| {
        let (mut near, _far) = pair(tcp, settings);
        own(near.write_all(&vec![0; 64 << 20]))
    });
    cancelled(Doing::Reading, |settings| {
        own(Channel::connect(&address("exec:sleep 60"), settings).unwrap().read(&mut [0]))
    });
    cancelled(Doing::Connecting, |settings| crowded(settings).map(drop));
}

/// Connects to a unix socket that has as many waiting as it takes.
fn crowded(settings: &Settings) -> Result<Channel, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full.sock");
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    socket.bind(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
    socket.listen(0).unwrap();
    let address = address(&format!("unix:{}", path.display()));
    let _first = Channel::connect(&address, settings)?;
    Channel::connect(&address, settings)
}

#[test]
fn connecting_and_accepting_have_their_time() {
    let error = crowded(&soon()).unwrap_err();
    assert!(matches!(error, Error::TimedOut { doing: Doing::Connecting, .. }), "{error}");
    let error = Listener::bind(&address("tcp:127.0.0.1:0"), &soon()).unwrap().accept().unwrap_err();
    assert!(matches!(error, Error::TimedOut { doing: Doing::Accepting, .. }), "{error}");
}

#[test]
fn where_nobody_listens_is_refused() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for text in [format!("tcp:127.0.0.1:{free}"), "unix:/nowhere/at/all.sock".to_owned()] {
        let error = Channel::connect(&address(&text), &soon()).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
        assert!(error.to_string().starts_with(&format!("nobody listens at {text}")), "{error}");
    }
}

#[test]
fn only_a_socket_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (stale, file) = (folder.path().join("stale.sock"), folder.path().join("file"));
    drop(UnixListener::bind(&stale).unwrap());
    assert!(stale.exists());
    let text = format!("unix:{}", stale.display());
    let first = Listener::bind(&address(&text), &soon()).unwrap();
    let second = Listener::bind(&address(&text), &soon()).unwrap();
    drop(first);
    assert!(stale.exists(), "what another has made since stays");
    drop(second);
    assert!(!stale.exists());

    fs::write(&file, "precious").unwrap();
    let error = Listener::bind(&address(&format!("unix:{}", file.display())), &soon()).unwrap_err();
    assert!(matches!(error, Error::NotSocket { .. }), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
}

#[test]
fn a_port_in_use_is_told_of() {
    let taken = Listener::bind(&address("tcp:127.0.0.1:0"), &soon()).unwrap();
    let error = Listener::bind(taken.address(), &soon()).unwrap_err();
    assert!(matches!(error, Error::Listen { .. }), "{error}");
}

#[test]
fn an_inherited_descriptor_goes_the_ways_it_is_open() {
    // As one that was inherited: a number that nobody owns, and that stays open over `exec`.
    let inherited = |fd: std::os::fd::BorrowedFd<'_>| rustix::io::dup(fd).unwrap().into_raw_fd();
    let (output, mut input) = std::io::pipe().unwrap();
    let from_pipe = address(&format!("fd:{}", inherited(output.as_fd())));
    let mut channel = Listener::bind(&from_pipe, &soon()).unwrap().accept().unwrap();
    input.write_all(b"QEVM").unwrap();
    let mut bytes = [0; 4];
    channel.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"QEVM");
    let error = channel.write(b"PONG").unwrap_err();
    assert!(matches!(error_of(&error), Error::OneWay { doing: Doing::Writing, .. }), "{error}");
    let error = channel.read(&mut bytes).unwrap_err();
    assert!(matches!(error_of(&error), Error::Stalled { .. }), "{error}");
    let flags = rustix::fs::fcntl_getfl(&output).unwrap();
    assert!(!flags.contains(rustix::fs::OFlags::NONBLOCK), "others who have the pipe still block");
    let error = Channel::connect(&from_pipe, &soon()).unwrap_err();
    assert!(matches!(error, Error::Descriptor { .. }), "taken once: {error}");

    let (output, input) = std::io::pipe().unwrap();
    let to_pipe = address(&format!("fd:{}", inherited(input.as_fd())));
    let mut channel = Channel::connect(&to_pipe, &soon()).unwrap();
    let error = channel.write_all(&[0; 1 << 20]).unwrap_err();
    assert!(matches!(error_of(&error), Error::Stalled { .. }), "a full pipe: {error}");
    drop(output);

    let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
    let [near, far] = [near, far].map(|end| {
        let text = format!("fd:{}", inherited(end.as_fd()));
        Channel::connect(&address(&text), &soon()).unwrap()
    });
    assert!(near.is_duplex());
    both_ways(near, far, 1 << 20);
}
