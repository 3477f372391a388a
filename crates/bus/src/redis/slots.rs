//! Which part of a Redis Cluster has a key or a channel, by the rules of its specification.

use redis::{FromRedisValue as _, Value};

use super::target::Place;

/// How many slots a cluster has.
pub(crate) const SLOTS: u16 = 16_384;

/// The slot of a key or channel: of what is between its first braces, if that is anything.
pub(crate) fn slot(name: &str) -> u16 {
    let tag = name.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    let hashed = match tag {
        Some((tag, _)) if !tag.is_empty() => tag,
        _ => name,
    };
    crc16(hashed.as_bytes()) % SLOTS
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc: u16, _| {
            if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            }
        })
    })
}

/// Slots from one to another, both included, and their master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) first: u16,
    pub(crate) last: u16,
    pub(crate) master: Place,
}

/// Reads an answer to `CLUSTER SLOTS` of the server at this host, which is meant where none is named.
pub(crate) fn read(answer: Value, asked: &str) -> Option<Vec<Range>> {
    let Value::Array(lines) = answer else { return None };
    let mut ranges = Vec::with_capacity(lines.len());
    for line in lines {
        let Value::Array(fields) = line else { return None };
        let mut fields = fields.into_iter();
        let mut bound = || {
            u16::from_redis_value(fields.next()?)
                .ok()
                .filter(|slot| *slot < SLOTS)
        };
        let (first, last) = (bound()?, bound()?);
        let Some(Value::Array(node)) = fields.next() else {
            return None;
        };
        let mut node = node.into_iter();
        let host: Option<String> = Option::from_redis_value(node.next()?).ok()?;
        let port = u16::from_redis_value(node.next()?).ok()?;
        let host = host.filter(|host| !host.is_empty() && host != "?");
        ranges.push(Range {
            first,
            last,
            master: Place::Tcp {
                host: host.unwrap_or_else(|| asked.to_owned()),
                port,
            },
        });
    }
    // Nodes tell them in any order; what is compared later must not depend on it.
    ranges.sort_by_key(|range| range.first);
    Some(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(slot("123456789"), 0x31C3 % SLOTS);
        assert_eq!(slot("{user1000}.following"), slot("{user1000}.followers"));
        assert_eq!(slot("foo{}{bar}"), crc16(b"foo{}{bar}") % SLOTS);
        assert_eq!(slot("foo{{bar}}zap"), crc16(b"{bar") % SLOTS);
        assert_eq!(slot("foo{bar}{zap}"), slot("bar"));
    }

    #[test]
    fn a_node_without_a_name_is_the_one_that_was_asked() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let line = |first, last, host, port| {
            Value::Array(vec![
                Value::Int(first),
                Value::Int(last),
                Value::Array(vec![host, Value::Int(port), text("id")]),
            ])
        };
        let answer = Value::Array(vec![
            line(8192, 16_383, text("b"), 2),
            line(0, 8191, Value::Nil, 1),
        ]);
        let ranges = read(answer, "a").unwrap();
        let hosts: Vec<_> = ranges.iter().map(|range| range.master.clone()).collect();
        let place = |host: &str, port| Place::Tcp {
            host: host.into(),
            port,
        };
        assert_eq!(hosts, [place("a", 1), place("b", 2)]);
        assert_eq!(read(Value::Array(vec![line(0, 20_000, text("b"), 2)]), "a"), None);
        assert_eq!(read(Value::Nil, "a"), None);
    }
}
