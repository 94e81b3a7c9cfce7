//! A part of a fleet, for one of several machines.

use std::str::FromStr;

/// Part `part` of `parts`, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    part: u32,
    parts: u32,
}

impl Shard {
    /// Whether a file belongs to this part. That depends on nothing but its name: the CRC-32 of it, modulo
    /// the number of parts.
    pub(super) fn has(self, name: &str) -> bool {
        crc32fast::hash(name.as_bytes()) % self.parts == self.part - 1
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers =
            text.split_once('/').and_then(|(part, parts)| Some((part.parse().ok()?, parts.parse().ok()?)));
        match numbers {
            Some((part, parts)) if (1..=parts).contains(&part) => Ok(Self { part, parts }),
            _ => Err(format!("`{text}` is no part of a whole; expected PART/PARTS, from 1/16 to 16/16")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_is_in_one_part() {
        let shards: Vec<Shard> = (1..=16).map(|part| format!("{part}/16").parse().unwrap()).collect();
        let mut sizes = [0; 16];
        for number in 0..4096 {
            let name = format!("rack{}/guest-{number}.mig", number % 7);
            let homes: Vec<usize> = (0..16).filter(|&part| shards[part].has(&name)).collect();
            assert_eq!(homes.len(), 1, "{name}");
            sizes[homes[0]] += 1;
        }
        assert!(sizes.iter().all(|size| (128..512).contains(size)), "{sizes:?}");
        // Python: zlib.crc32(b"guest.mig") % 16 + 1
        assert!("15/16".parse::<Shard>().unwrap().has("guest.mig"));
    }

    #[test]
    fn parts_are_counted_from_one() {
        for wrong in ["0/4", "5/4", "1/0", "0/0", "3", "a/b", "-1/4", "1/4/4", ""] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
        assert_eq!("1/1".parse(), Ok(Shard { part: 1, parts: 1 }));
    }
}
