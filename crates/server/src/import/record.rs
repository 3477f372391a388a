//! The lines of an import file.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
};

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use roomful_chat::Metadata;
use roomful_store::{Role, RoomKind};
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::value::RawValue;

use super::ImportError;

/// The longest line, in bytes.
const MAX_LINE: u64 = 1 << 20;

/// A line of the file.
pub(super) enum Record {
    Room(Room),
    Member(Member),
    Message(Box<Message>),
}

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "type")]
    kind: Type,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Type {
    Room,
    Member,
    Message,
}

/// `{"type": "room", …}`. It stands before the other lines of its room.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the file's format has these names")]
pub(super) struct Room {
    #[serde(rename = "type")]
    _type: IgnoredAny,
    pub(super) room: String,
    #[serde(default, deserialize_with = "kind")]
    pub(super) kind: RoomKind,
    #[serde(default, deserialize_with = "optional_time")]
    pub(super) created_at: Option<i64>,
}

/// `{"type": "member", …}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Member {
    #[serde(rename = "type")]
    _type: IgnoredAny,
    pub(super) room: String,
    pub(super) user_id: String,
    #[serde(default, deserialize_with = "role")]
    pub(super) role: Role,
    #[serde(default, deserialize_with = "optional_time")]
    pub(super) joined_at: Option<i64>,
    /// The id of the last message that the member has read. Absent: all of them; `null`: none.
    #[serde(default = "LastRead::all", deserialize_with = "last_read")]
    pub(super) last_read: LastRead,
}

/// How far a member has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LastRead {
    All,
    None,
    Message(String),
}

impl LastRead {
    fn all() -> Self {
        Self::All
    }
}

/// `{"type": "message", …}`. The messages of a room stand in the order of their times.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Message {
    #[serde(rename = "type")]
    _type: IgnoredAny,
    pub(super) room: String,
    /// Its id in the other system.
    pub(super) id: String,
    pub(super) user_id: String,
    pub(super) name: Option<String>,
    pub(super) text: String,
    #[serde(deserialize_with = "time")]
    pub(super) at: i64,
    /// The id of the message that this one replies to.
    pub(super) reply_to: Option<String>,
    #[serde(default)]
    pub(super) mentions: Vec<String>,
    #[serde(default, deserialize_with = "metadata")]
    pub(super) metadata: Option<Metadata>,
}

impl Message {
    /// The id as a `clientId`: itself if it is short enough, else its hash.
    pub(super) fn client_id(&self, max_chars: usize) -> String {
        if self.id.chars().count() <= max_chars {
            return self.id.clone();
        }
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, self.id.as_bytes()))
    }
}

impl Record {
    fn read(line: &[u8]) -> Result<Self, serde_json::Error> {
        let Head { kind } = serde_json::from_slice(line)?;
        Ok(match kind {
            Type::Room => Self::Room(serde_json::from_slice(line)?),
            Type::Member => Self::Member(serde_json::from_slice(line)?),
            Type::Message => Self::Message(serde_json::from_slice(line)?),
        })
    }
}

/// The records of a file, each with the number of its line.
pub(super) struct Records {
    reader: BufReader<File>,
    line: u64,
    buffer: Vec<u8>,
}

impl Records {
    pub(super) fn open(path: &Path) -> Result<Self, ImportError> {
        Ok(Self {
            reader: BufReader::new(File::open(path)?),
            line: 0,
            buffer: Vec::new(),
        })
    }

    /// The next record. Skips empty lines.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Record)>, ImportError> {
        loop {
            self.buffer.clear();
            let mut limited = self.reader.by_ref().take(MAX_LINE + 1);
            if limited.read_until(b'\n', &mut self.buffer)? == 0 {
                return Ok(None);
            }
            self.line += 1;
            if self.buffer.len() as u64 > MAX_LINE {
                return Err(ImportError::line(self.line, "is longer than 1 MiB"));
            }
            if self.buffer.trim_ascii().is_empty() {
                continue;
            }
            let record = Record::read(&self.buffer).map_err(|error| ImportError::json(self.line, &error))?;
            return Ok(Some((self.line, record)));
        }
    }
}

/// Milliseconds since 1970, or a time of RFC 3339 in UTC.
fn time<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Time {
        Millis(i64),
        Text(String),
    }
    let wrong = || serde::de::Error::custom("a time must be milliseconds since 1970, or RFC 3339 in UTC");
    match Time::deserialize(from)? {
        Time::Millis(ms) if ms >= 0 => Ok(ms),
        Time::Millis(_) => Err(wrong()),
        Time::Text(text) => {
            let time = humantime::parse_rfc3339(&text).map_err(|_| wrong())?;
            let since = time.duration_since(std::time::UNIX_EPOCH).map_err(|_| wrong())?;
            i64::try_from(since.as_millis()).map_err(|_| wrong())
        }
    }
}

fn metadata<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Metadata>, D::Error> {
    let wrong = || serde::de::Error::custom(format!("metadata {}", Metadata::RULE));
    let json = Option::<Box<RawValue>>::deserialize(from)?;
    json.map(|json| Metadata::new(json).ok_or_else(wrong)).transpose()
}

fn optional_time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    time(from).map(Some)
}

fn kind<'de, D: Deserializer<'de>>(from: D) -> Result<RoomKind, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    enum Kind {
        Public,
        Private,
    }
    Ok(match Kind::deserialize(from)? {
        Kind::Public => RoomKind::Public,
        Kind::Private => RoomKind::Private,
    })
}

fn role<'de, D: Deserializer<'de>>(from: D) -> Result<Role, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    enum Named {
        Member,
        Moderator,
    }
    Ok(match Named::deserialize(from)? {
        Named::Member => Role::Member,
        Named::Moderator => Role::Moderator,
    })
}

fn last_read<'de, D: Deserializer<'de>>(from: D) -> Result<LastRead, D::Error> {
    let id = Option::<String>::deserialize(from)?;
    Ok(id.map_or(LastRead::None, LastRead::Message))
}
