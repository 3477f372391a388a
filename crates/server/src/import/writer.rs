//! The second and third reading of an import file: appends messages, then adds members with their marks.

use std::{collections::HashMap, sync::Arc};

use roomful_store::{Appended, NewEntry, RoomChange, RoomRow, Store, StoreError};
use tokio::task::JoinSet;

use super::{
    Import, ImportError, Imported,
    record::{self, LastRead, Message, Record, Records},
    scan::{Plan, Scan, is_kept, post},
};

/// Entries in one commit.
const BATCH: usize = 500;
/// Members that are written at the same time.
const MEMBERS_AT_ONCE: usize = 128;
/// Lines of progress come after so many messages or members.
const REPORT_EVERY: u64 = 20_000;

/// Writes what a scan found.
pub(super) struct Writer<'a> {
    import: &'a Import,
    scan: Scan,
    report: &'a mut dyn FnMut(&str),
    rooms: HashMap<String, RoomWriter>,
    /// The seqs of messages that replies and read marks name.
    seqs: HashMap<(String, String), u64>,
    batch: Vec<(NewEntry, u64)>,
    done: Imported,
    reported: u64,
}

struct RoomWriter {
    row: RoomRow,
    plan: Plan,
    /// Messages read so far that are young enough.
    number: u64,
    /// The seq of the newest imported message.
    last_seq: u64,
}

impl RoomWriter {
    /// The seq of the message with this number, and whether it is to be appended.
    fn place(&self, number: u64) -> Option<(u64, bool)> {
        let Plan::After { skip, seq, .. } = self.plan else {
            return None;
        };
        let at = (seq + number).checked_sub(skip + 1)?;
        (at > 0).then_some((at, number > skip))
    }
}

impl<'a> Writer<'a> {
    pub(super) fn new(import: &'a Import, scan: Scan, report: &'a mut dyn FnMut(&str)) -> Self {
        let mut done = Imported::default();
        for room in scan.rooms.values() {
            room.count(&mut done);
        }
        // Counted as they are written.
        done.messages = 0;
        Self {
            import,
            scan,
            report,
            rooms: HashMap::new(),
            seqs: HashMap::new(),
            batch: Vec::new(),
            done,
            reported: 0,
        }
    }

    pub(super) async fn run(mut self) -> Result<Imported, ImportError> {
        self.messages().await?;
        self.members().await?;
        Ok(self.done)
    }

    async fn messages(&mut self) -> Result<(), ImportError> {
        let mut records = Records::open(&self.import.file)?;
        while let Some((line, record)) = records.next()? {
            match record {
                Record::Room(record) => self.room(record).await?,
                Record::Message(record) => self.message(line, *record).await?,
                Record::Member(_) => {}
            }
        }
        self.flush().await
    }

    async fn room(&mut self, record: record::Room) -> Result<(), ImportError> {
        let Some(scan) = self.scan.rooms.get(&record.room) else {
            return Ok(());
        };
        let row = if let Some(row) = &scan.row {
            row.clone()
        } else {
            let change = RoomChange {
                kind: Some(record.kind),
                history: None,
            };
            let at = record.created_at.unwrap_or(self.import.now);
            self.done.rooms += 1;
            let (row, _) = self.import.store.put_room(&record.room, change, at).await?;
            row
        };
        let mut room = RoomWriter {
            row,
            plan: scan.plan(),
            number: 0,
            last_seq: 0,
        };
        room.last_seq = room.place(scan.messages).map_or(0, |(seq, _)| seq);
        self.rooms.insert(record.room, room);
        Ok(())
    }

    async fn message(&mut self, line: u64, message: Message) -> Result<(), ImportError> {
        let Some(room) = self.rooms.get_mut(&message.room) else {
            return Ok(());
        };
        if !is_kept(self.import.retention, self.import.now, message.at) {
            return Ok(());
        }
        room.number += 1;
        let Some((seq, is_new)) = room.place(room.number) else {
            return Ok(());
        };
        let key = (message.room.clone(), message.id.clone());
        if self.scan.named.contains(&key) {
            self.seqs.insert(key, seq);
        }
        if !is_new {
            return Ok(());
        }
        let target = message.reply_to.clone().map(|id| (message.room.clone(), id));
        let reply_to = target.as_ref().and_then(|key| self.seqs.get(key).copied());
        self.done.replies += u64::from(target.is_some() && reply_to.is_none());
        let (at, name) = (message.at, message.room.clone());
        let client_id = message.client_id(self.import.limits.client_id_chars);
        let entry = post(message, client_id, reply_to)
            .into_entry((room.row.id, &name), at, &self.import.limits)
            .map_err(|error| ImportError::line(line, error))?;
        self.batch.push((entry, seq));
        if self.batch.len() >= BATCH {
            self.flush().await?;
        }
        Ok(())
    }

    /// Commits the batch. Each entry must get its expected seq, since no other process writes.
    async fn flush(&mut self) -> Result<(), ImportError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let (entries, seqs): (Vec<_>, Vec<_>) = self.batch.drain(..).unzip();
        let results = self.import.store.append(entries).await?;
        for (result, expected) in results.into_iter().zip(seqs) {
            match result {
                Ok(Appended::New { seq, .. }) if seq == expected => self.done.messages += 1,
                _ => return Err(ImportError::NotAlone),
            }
        }
        self.progress("messages", self.done.messages, self.scan.messages);
        Ok(())
    }

    async fn members(&mut self) -> Result<(), ImportError> {
        self.reported = 0;
        let mut records = Records::open(&self.import.file)?;
        let mut running: JoinSet<Result<bool, StoreError>> = JoinSet::new();
        let mut read = 0;
        while let Some((_, record)) = records.next()? {
            let Record::Member(record) = record else { continue };
            read += 1;
            let Some(call) = self.member(record) else { continue };
            if running.len() >= MEMBERS_AT_ONCE {
                self.joined(running.join_next().await)?;
            }
            running.spawn(call);
            self.progress("members", read, self.scan.members);
        }
        while let Some(done) = running.join_next().await {
            self.joined(Some(done))?;
        }
        Ok(())
    }

    /// Writes a member and their read mark; the call answers whether they are new. `None` for a room in use.
    fn member(
        &self,
        record: record::Member,
    ) -> Option<impl Future<Output = Result<bool, StoreError>> + Send + 'static + use<>> {
        let room = self.rooms.get(&record.room)?;
        if room.plan == Plan::InUse {
            return None;
        }
        let read_seq = match record.last_read {
            LastRead::All => room.last_seq,
            LastRead::None => 0,
            LastRead::Message(id) => *self.seqs.get(&(record.room, id)).unwrap_or(&0),
        };
        let (id, now) = (room.row.id, self.import.now);
        let joined_at = record.joined_at.unwrap_or(room.row.created_at);
        let store: Arc<dyn Store> = Arc::clone(&self.import.store);
        Some(async move {
            let joined = store
                .put_member(id, &record.user_id, Some(record.role), joined_at)
                .await?;
            if read_seq > 0 {
                store.mark_read(id, &record.user_id, read_seq, now).await?;
            }
            Ok(joined.is_some_and(|joined| joined.newly))
        })
    }

    fn joined(
        &mut self,
        done: Option<Result<Result<bool, StoreError>, tokio::task::JoinError>>,
    ) -> Result<(), ImportError> {
        if let Some(done) = done {
            let newly = done.map_err(|error| ImportError::Read(std::io::Error::other(error)))??;
            self.done.members += u64::from(newly);
        }
        Ok(())
    }

    fn progress(&mut self, what: &str, count: u64, of: u64) {
        if count >= self.reported + REPORT_EVERY {
            self.reported = count;
            (self.report)(&format!("{what}: {count} of {of}"));
        }
    }
}
