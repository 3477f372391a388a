//! The first reading of an import file: checks every line, and decides which messages of each room to append.

use std::collections::{HashMap, HashSet};

use roomful_chat::{
    admin::Post,
    types::{RoomName, names::check_acting_user_id},
};
use roomful_store::{Page, Range, Retention, RoomRow};

use super::{
    Import, ImportError, Imported,
    record::{LastRead, Member, Message, Record, Records},
    room_ids::RoomIds,
};

/// What a file contains.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) rooms: HashMap<String, RoomScan>,
    pub(super) members: u64,
    pub(super) messages: u64,
    /// Ids of messages that replies and read marks name, each with its room.
    pub(super) named: HashSet<(String, String)>,
}

/// What a file has for one room.
pub(super) struct RoomScan {
    /// The room in the store; `None` until the import creates it.
    pub(super) row: Option<RoomRow>,
    /// The newest message in the store.
    newest: Option<Newest>,
    ids: RoomIds,
    /// Messages that are young enough.
    pub(super) messages: u64,
    too_old: u64,
    /// The number of the newest stored message among `messages`, from 1, and its seq.
    found: Option<(u64, u64)>,
    last_at: i64,
    most: u64,
}

struct Newest {
    user_id: String,
    client_id: Option<String>,
    seq: u64,
}

/// Which messages of a room to append, by their number among those that are young enough, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    /// Those after `skip`. The first one gets `seq`.
    After { skip: u64, seq: u64, present: u64 },
    /// None: the room has messages that are not from this file.
    InUse,
}

impl Scan {
    /// Reads the file and the rooms that it names.
    pub(super) async fn of(import: &Import) -> Result<Self, ImportError> {
        let mut scan = Self::default();
        let mut records = Records::open(&import.file)?;
        while let Some((line, record)) = records.next()? {
            match record {
                Record::Room(record) => {
                    RoomName::new(&record.room)
                        .map_err(|must| ImportError::line(line, format!("room {must}")))?;
                    let room = RoomScan::load(import, &record.room).await?;
                    if scan.rooms.insert(record.room, room).is_some() {
                        return Err(ImportError::line(line, "the room has a line already"));
                    }
                }
                Record::Member(record) => scan.member(line, record)?,
                Record::Message(record) => {
                    scan.messages += 1;
                    if let Some(id) = record.reply_to.clone() {
                        scan.named.insert((record.room.clone(), id));
                    }
                    scan.room(line, &record.room)?.add(import, line, *record)?;
                }
            }
        }
        scan.check_named()?;
        Ok(scan)
    }

    fn member(&mut self, line: u64, member: Member) -> Result<(), ImportError> {
        self.members += 1;
        let room = self.room(line, &member.room)?;
        check_acting_user_id(&member.user_id)
            .map_err(|must| ImportError::line(line, format!("userId {must}")))?;
        room.ids
            .member(&member)
            .map_err(|what| ImportError::line(line, what))?;
        if let LastRead::Message(id) = member.last_read {
            self.named.insert((member.room, id));
        }
        Ok(())
    }

    /// Returns an error if a reply or a read mark names messages of several users.
    fn check_named(&self) -> Result<(), ImportError> {
        let is_ambiguous = |(room, id): &&(String, String)| {
            let room = self.rooms.get(room);
            room.is_some_and(|room| room.ids.is_ambiguous(id))
        };
        match self.named.iter().find(is_ambiguous).cloned() {
            Some((room, id)) => Err(ImportError::Ambiguous { room, id }),
            None => Ok(()),
        }
    }

    fn room(&mut self, line: u64, name: &str) -> Result<&mut RoomScan, ImportError> {
        self.rooms.get_mut(name).ok_or_else(|| {
            ImportError::line(
                line,
                format!("the room {name:?} needs a line of its own before this one"),
            )
        })
    }

    /// What the import will do, as far as the file tells.
    pub(super) fn expected(&self) -> Imported {
        let mut expected = Imported {
            members: self.members,
            ..Imported::default()
        };
        for room in self.rooms.values() {
            expected.rooms += u64::from(room.row.is_none());
            room.count(&mut expected);
        }
        expected
    }
}

impl RoomScan {
    async fn load(import: &Import, name: &str) -> Result<Self, ImportError> {
        let row = import.store.open_room(name, false, import.now).await?;
        let newest = match &row {
            Some(row) if row.head > 0 => newest(import, row).await?,
            _ => None,
        };
        let limit = row.as_ref().and_then(|row| row.history).unwrap_or(u64::MAX);
        Ok(Self {
            row,
            newest,
            ids: RoomIds::default(),
            messages: 0,
            too_old: 0,
            found: None,
            last_at: 0,
            most: import.retention.max_entries.min(limit),
        })
    }

    fn add(&mut self, import: &Import, line: u64, message: Message) -> Result<(), ImportError> {
        if message.at < self.last_at {
            let what = "the messages of a room must stand in the order of their times";
            return Err(ImportError::line(line, what));
        }
        self.last_at = message.at;
        if message.at > import.now {
            return Err(ImportError::line(line, "the time is in the future"));
        }
        self.ids
            .message(&message)
            .map_err(|what| ImportError::line(line, what))?;
        let client_id = message.client_id(import.limits.client_id_chars);
        let is_newest = self.newest.as_ref().is_some_and(|newest| {
            newest.user_id == message.user_id && newest.client_id.as_deref() == Some(client_id.as_str())
        });
        let newest = self.newest.as_ref().filter(|_| is_newest);
        if is_kept(import.retention, import.now, message.at) {
            self.messages += 1;
            if let Some(newest) = newest {
                self.found = Some((self.messages, newest.seq));
            }
        } else {
            self.too_old += 1;
            // An earlier run imported it when it was younger.
            if let Some(newest) = newest {
                self.found = Some((0, newest.seq));
            }
        }
        let room = message.room.clone();
        let at = message.at;
        // Checks it by the rules for clients.
        post(message, client_id, None)
            .into_entry((0, &room), at, &import.limits)
            .map_err(|error| ImportError::line(line, error))?;
        Ok(())
    }

    /// Which messages to append.
    pub(super) fn plan(&self) -> Plan {
        match (self.found, self.row.as_ref().map_or(0, |row| row.head)) {
            (Some((number, seq)), _) => Plan::After {
                skip: number,
                seq: seq + 1,
                present: number,
            },
            (None, 0) => Plan::After {
                skip: self.messages.saturating_sub(self.most),
                seq: 1,
                present: 0,
            },
            (None, _) => Plan::InUse,
        }
    }

    /// Adds this room's messages to the figures.
    pub(super) fn count(&self, imported: &mut Imported) {
        imported.too_old += self.too_old;
        imported.lost_marks += self.ids.lost_marks();
        match self.plan() {
            Plan::After { skip, present, .. } => {
                imported.messages += self.messages - skip;
                imported.present += present;
                imported.too_many += skip - present;
            }
            Plan::InUse => imported.in_use += self.messages,
        }
    }
}

/// The newest message of a room that the store keeps.
async fn newest(import: &Import, row: &RoomRow) -> Result<Option<Newest>, ImportError> {
    let range = Range::Last { upto: row.head };
    let page = import.store.history(row.id, Page { range, limit: 1 }).await?;
    let entry = page.and_then(|mut page| page.entries.pop());
    Ok(entry.map(|entry| Newest {
        user_id: entry.user_id,
        client_id: entry.client_id,
        seq: entry.seq,
    }))
}

/// Whether retention keeps a message of this age.
pub(super) fn is_kept(retention: Retention, now: i64, at: i64) -> bool {
    now.saturating_sub(at) < retention.max_age_ms
}

/// The message as a backend would post it.
pub(super) fn post(message: Message, client_id: String, reply_to: Option<u64>) -> Post {
    Post {
        user_id: message.user_id,
        name: message.name,
        text: message.text,
        client_id: Some(client_id),
        reply_to,
        mentions: message.mentions,
        metadata: message.metadata,
    }
}
