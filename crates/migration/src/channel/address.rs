//! Where a channel leads to, named as QEMU's `migrate` and `-incoming` name it.
//!
//! | address | leads to |
//! | --- | --- |
//! | `tcp:HOST:PORT` | a host; IPv6 in brackets; no host: any when listening, this host when connecting |
//! | `unix:PATH` | a socket on this machine |
//! | `vsock:CID:PORT` | a virtual machine, or its host |
//! | `file:PATH`, `file:PATH,offset=N` | a file, from the byte `N` on |
//! | `fd:N` | a descriptor this process was started with |
//! | `exec:COMMAND` | standard input and output of a command |
//! | `-` | standard input to read, standard output to write |

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a channel leads to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// `tcp:HOST:PORT`.
    Tcp {
        /// A name or an IP address without brackets; empty for any.
        host: String,
        /// The port; 0 to listen at one that is free.
        port: u16,
    },
    /// `unix:PATH`.
    Unix(PathBuf),
    /// `vsock:CID:PORT`.
    Vsock {
        /// The machine: 2 is the host.
        cid: u32,
        /// The port.
        port: u32,
    },
    /// `file:PATH,offset=N`.
    File {
        /// The file.
        path: PathBuf,
        /// Byte at which the stream begins.
        offset: u64,
    },
    /// `fd:N`.
    Fd(u32),
    /// `exec:COMMAND`, which `/bin/sh` runs.
    Exec(String),
    /// `-`.
    Standard,
}

/// An address that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no address of a channel: {reason}")]
pub struct AddressError {
    /// The address as it was given.
    pub found: String,
    /// What was expected.
    pub reason: String,
}

const KINDS: &str =
    "tcp:HOST:PORT, unix:PATH, vsock:CID:PORT, file:PATH[,offset=N], fd:N, exec:COMMAND, or -";

/// Names what else QEMU takes, and why it is not taken here.
const UNKNOWN: [(&str, &str); 2] = [
    ("rdma", "RDMA is not supported; use tcp:HOST:PORT over the same network"),
    ("defer", "`defer` is a word of QEMU's -incoming; name the channel here"),
];

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let parsed = match text.split_once(':') {
            _ if text == "-" => Ok(Self::Standard),
            Some(("tcp", rest)) => tcp(rest),
            Some(("unix", path)) => path_of(path).map(Self::Unix),
            Some(("vsock", rest)) => vsock(rest),
            Some(("file", rest)) => file(rest),
            Some(("fd", number)) => number
                .parse()
                .map(Self::Fd)
                .map_err(|_| "expected fd:N, with the number of an open descriptor".to_owned()),
            Some(("exec", "")) => Err("expected exec:COMMAND".to_owned()),
            Some(("exec", command)) => Ok(Self::Exec(command.to_owned())),
            kind => {
                let kind = kind.map_or(text, |(kind, _)| kind);
                let why = UNKNOWN.iter().find(|(name, _)| *name == kind).map(|(_, why)| (*why).to_owned());
                Err(why.unwrap_or_else(|| format!("expected {KINDS}")))
            }
        };
        parsed.map_err(|reason| AddressError { found: text.to_owned(), reason })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp:[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp:{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Vsock { cid, port } => write!(f, "vsock:{cid}:{port}"),
            Self::File { path, offset: 0 } => write!(f, "file:{}", path.display()),
            Self::File { path, offset } => write!(f, "file:{},offset={offset}", path.display()),
            Self::Fd(number) => write!(f, "fd:{number}"),
            Self::Exec(command) => write!(f, "exec:{command}"),
            Self::Standard => f.write_str("-"),
        }
    }
}

fn tcp(rest: &str) -> Result<Address, String> {
    const EXPECTED: &str =
        "expected tcp:HOST:PORT, the port from 0 to 65535 and an IPv6 address in brackets, as tcp:[::1]:4444";
    if let Some((_, options)) = rest.split_once(',') {
        return Err(format!("the options `,{options}` are not supported; leave them out"));
    }
    let (host, port) = rest.rsplit_once(':').ok_or(EXPECTED)?;
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if inside.unwrap_or(host).contains(['[', ']']) || (inside.is_none() && host.contains(':')) {
        return Err(EXPECTED.to_owned());
    }
    let port = port.parse().map_err(|_| EXPECTED)?;
    Ok(Address::Tcp { host: inside.unwrap_or(host).to_owned(), port })
}

fn vsock(rest: &str) -> Result<Address, String> {
    let parsed = rest.split_once(':').and_then(|(cid, port)| Some((cid.parse().ok()?, port.parse().ok()?)));
    let (cid, port) = parsed.ok_or("expected vsock:CID:PORT, both numbers")?;
    Ok(Address::Vsock { cid, port })
}

fn file(rest: &str) -> Result<Address, String> {
    let (path, offset) = match rest.split_once(",offset=") {
        None => (rest, 0),
        Some((path, size)) => (path, bytes(size)?),
    };
    Ok(Address::File { path: path_of(path)?, offset })
}

fn path_of(path: &str) -> Result<PathBuf, String> {
    if path.is_empty() { Err("expected a path after the colon".to_owned()) } else { Ok(path.into()) }
}

/// A size as QEMU's options take it: decimal, with a binary unit or without, or hexadecimal without one.
fn bytes(text: &str) -> Result<u64, String> {
    let expected =
        || format!("expected an offset as 4096, 0x1000 or 1M (B, K, M, G, T, P, E), found `{text}`");
    let is_number = |digits: &str| digits.starts_with(|first: char| first.is_ascii_hexdigit());
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        let value = is_number(digits).then(|| u64::from_str_radix(digits, 16).ok());
        return value.flatten().ok_or_else(expected);
    }
    let digits = text.trim_end_matches(|last: char| last.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let power = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        unit => {
            let found = ["K", "M", "G", "T", "P", "E"].iter().position(|name| *name == unit);
            1 + u32::try_from(found.ok_or_else(expected)?).map_err(|_| expected())?
        }
    };
    let number = is_number(digits).then(|| digits.parse::<u64>().ok()).flatten();
    number.and_then(|number| number.checked_mul(1 << (10 * power))).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_and_prints() {
        for text in [
            "tcp:host.example:4444",
            "tcp::0",
            "tcp:[::1]:4444",
            "tcp:127.0.0.1:65535",
            "unix:/run/a,b:c.sock",
            "vsock:2:1234",
            "file:/tmp/a b.mig",
            "file:a.mig,offset=4096",
            "fd:7",
            "exec:gzip -c > 'a:b',offset=1",
            "-",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_offset_is_a_size_of_qemu() {
        let sizes = [("0", 0), ("4096", 4096), ("0x1000", 4096), ("1M", 1 << 20), ("2g", 2 << 30), ("7B", 7)];
        for (text, offset) in sizes {
            let address: Address = format!("file:a,offset={text}").parse().unwrap();
            assert_eq!(address, Address::File { path: "a".into(), offset });
        }
        for text in
            ["", "M", "-1", "+1", "0x", "0x+1", "0x1M", "1Q", "1KK", "16E", "99999999999999999999", "ä"]
        {
            assert!(format!("file:a,offset={text}").parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_wrong_address_says_what_was_expected() {
        for (text, says) in [
            ("host:4444", "expected tcp:HOST:PORT, unix:PATH"),
            ("", "expected tcp:HOST:PORT, unix:PATH"),
            ("tcp:4444", "expected tcp:HOST:PORT"),
            ("tcp:host:99999", "the port from 0 to 65535"),
            ("tcp:::1:4444", "in brackets"),
            ("tcp:[::1:4444", "in brackets"),
            ("tcp:a:1,ipv4=on", "options `,ipv4=on` are not supported"),
            ("unix:", "expected a path"),
            ("vsock:2", "expected vsock:CID:PORT"),
            ("fd:migfd", "expected fd:N"),
            ("exec:", "expected exec:COMMAND"),
            ("rdma:host:4444", "RDMA is not supported"),
            ("defer", "word of QEMU's -incoming"),
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
