//! Hash slots of a Redis Cluster, as its specification defines them.

use redis::{FromRedisValue as _, Value};

use super::url::ServerAddr;

/// Number of slots in a cluster.
pub(crate) const SLOTS: u16 = 16_384;

/// The slot of a key or channel. If the name has a nonempty hash tag in braces, only the tag counts.
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

/// A range of slots, both ends included, and its master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SlotRange {
    pub(crate) first: u16,
    pub(crate) last: u16,
    pub(crate) master: ServerAddr,
}

/// Parses the answer to `CLUSTER SLOTS`. An entry without a host means the server that was asked.
pub(crate) fn parse(answer: Value, asked: &str) -> Option<Vec<SlotRange>> {
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
        ranges.push(SlotRange {
            first,
            last,
            master: ServerAddr::Tcp {
                host: host.unwrap_or_else(|| asked.to_owned()),
                port,
            },
        });
    }
    // Nodes answer in any order. Sorting makes two answers comparable.
    ranges.sort_by_key(|range| range.first);
    Some(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_match_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(slot("123456789"), 0x31C3 % SLOTS);
        assert_eq!(slot("{user1000}.following"), slot("{user1000}.followers"));
        assert_eq!(slot("foo{}{bar}"), crc16(b"foo{}{bar}") % SLOTS);
        assert_eq!(slot("foo{{bar}}zap"), crc16(b"{bar") % SLOTS);
        assert_eq!(slot("foo{bar}{zap}"), slot("bar"));
    }

    #[test]
    fn an_entry_without_a_host_means_the_server_that_was_asked() {
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
        let ranges = parse(answer, "a").unwrap();
        let hosts: Vec<_> = ranges.iter().map(|range| range.master.clone()).collect();
        let addr = |host: &str, port| ServerAddr::Tcp {
            host: host.into(),
            port,
        };
        assert_eq!(hosts, [addr("a", 1), addr("b", 2)]);
        assert_eq!(
            parse(Value::Array(vec![line(0, 20_000, text("b"), 2)]), "a"),
            None
        );
        assert_eq!(parse(Value::Nil, "a"), None);
    }
}
