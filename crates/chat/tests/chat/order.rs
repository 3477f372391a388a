//! Order and durability: acked messages are stored, delivered seqs are dense, and a failing store loses
//! nothing.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use roomful_testkit::SioClient;
use serde_json::{Value, json};

use crate::{
    fixture::{Server, claims, failed, new_store, ok, send, settle},
    recovery::{come_back, lose},
};

fn seq(message: &Value) -> u64 {
    message["seq"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_during_a_burst_has_no_gap_and_no_duplicate() {
    let server = Arc::new(Server::with(|config| config.rates.enabled = false).await);
    let mut senders = Vec::new();
    for n in 0..4 {
        let sender = server.joined(&format!("sender-{n}"), "lobby").await;
        senders.push(tokio::spawn(async move {
            for n in 0..100 {
                send(&sender, "lobby", &n.to_string()).await;
            }
            sender
        }));
    }
    let mut readers = Vec::new();
    for n in 0..8 {
        let server = Arc::clone(&server);
        readers.push(tokio::spawn(async move {
            let reader = server.connect(&format!("reader-{n}")).await;
            let ask = json!({ "room": "lobby", "limit": 5 });
            let mut from = seq_head(&ok(reader.call("chat:join", &ask).await));
            // Joining again during the burst must not disturb the sequence.
            for _ in 0..3 {
                let joined = ok(reader.call("chat:join", &ask).await);
                from = check(&reader, from, seq_head(&joined));
            }
            (reader, from)
        }));
    }
    for sender in senders {
        sender.await.unwrap();
    }
    for reader in readers {
        let (reader, from) = reader.await.unwrap();
        settle(&reader).await;
        assert_eq!(check(&reader, from, 400), 400);
    }
}

fn seq_head(joined: &Value) -> u64 {
    let head = joined["head"].as_u64().unwrap();
    let messages = joined["messages"].as_array().unwrap();
    assert_eq!(messages.last().map_or(0, seq), head, "history reaches the head");
    head
}

/// Checks that the received seqs follow `from` densely and reach `head`. Returns the newest one.
fn check(reader: &SioClient, from: u64, head: u64) -> u64 {
    let mut last = from;
    for message in reader.drain("chat:receive_message") {
        assert_eq!(seq(&message), last + 1);
        last = seq(&message);
    }
    assert!(last >= head, "{last} came before an answer that says {head}");
    last
}

#[tokio::test]
async fn sends_of_one_connection_keep_their_order() {
    let server = Server::with(|config| config.rates.enabled = false).await;
    let alice = server.joined("alice", "lobby").await;
    for n in 0..200 {
        alice
            .emit(
                "chat:send_message",
                &json!({ "room": "lobby", "text": n.to_string() }),
            )
            .await
            .unwrap();
    }
    // Events other than sends take effect after all earlier sends.
    let history = ok(alice
        .call("chat:get_history", &json!({ "room": "lobby", "limit": 200 }))
        .await);
    let texts: Vec<_> = history["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["text"].clone())
        .collect();
    assert_eq!(texts, (0..200).map(|n| json!(n.to_string())).collect::<Vec<_>>());
    let received: Vec<_> = alice.drain("chat:receive_message").iter().map(seq).collect();
    assert_eq!(received, (1..=200).collect::<Vec<_>>());
}

#[tokio::test]
async fn draining_waits_for_accepted_sends() {
    let server = Server::with(|config| config.rates.enabled = false).await;
    let alice = server.joined("alice", "lobby").await;
    for n in 0..50 {
        alice
            .emit(
                "chat:send_message",
                &json!({ "room": "lobby", "text": n.to_string() }),
            )
            .await
            .unwrap();
    }
    alice.next_event("chat:receive_message").await.unwrap();
    server.chat.drain().await;
    let seen = server.store.users(&["alice".to_owned()]).await.unwrap();
    assert_eq!(
        seen[0].last_seen,
        crate::fixture::START,
        "an online user is last seen at shutdown"
    );
}

/// The text of messages that [`Flaky`] can make unreadable.
pub(crate) const UNREADABLE: &str = "cannot be read";

/// A store with injected faults: appends fail before they start or after they committed, along with writes of
/// a status. Reads of users fail while writes do.
pub(crate) struct Flaky {
    pub(crate) inner: Arc<dyn roomful_store::Store>,
    /// 0: works; 1: fails before the append; 2: commits, then reports a failure.
    pub(crate) mode: AtomicUsize,
    /// Whether messages with the text [`UNREADABLE`] cannot be read back by position.
    pub(crate) unreadable: AtomicBool,
    /// The number of failed attempts to record a lost connection.
    pub(crate) untold: AtomicUsize,
    /// Blocks the start of sessions while held.
    pub(crate) beginning: tokio::sync::Mutex<()>,
    /// The number of reads of entries by position.
    pub(crate) reads: AtomicUsize,
    /// Blocks recoveries while held.
    pub(crate) resuming: tokio::sync::Mutex<()>,
    /// The number of recovery attempts.
    pub(crate) resumes: AtomicUsize,
    /// The number of calls that read or enter rooms for clients.
    pub(crate) calls: AtomicUsize,
    /// Blocks reads of inboxes while held.
    pub(crate) listing: tokio::sync::Mutex<()>,
    /// The number of reads of inboxes.
    pub(crate) inboxes: AtomicUsize,
}

impl Flaky {
    /// A faultless store in its own database; tests switch faults on.
    pub(crate) fn open() -> (Arc<Self>, tempfile::TempDir) {
        let (inner, data) = new_store();
        let store = Flaky {
            inner,
            mode: AtomicUsize::new(0),
            unreadable: AtomicBool::new(false),
            untold: AtomicUsize::new(0),
            beginning: tokio::sync::Mutex::default(),
            reads: AtomicUsize::new(0),
            resuming: tokio::sync::Mutex::default(),
            resumes: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
            listing: tokio::sync::Mutex::default(),
            inboxes: AtomicUsize::new(0),
        };
        (Arc::new(store), data)
    }

    /// Counts a call for a client.
    fn called(&self) -> &Arc<dyn roomful_store::Store> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        &self.inner
    }
}

mod flaky {
    use std::sync::atomic::Ordering;

    use async_trait::async_trait;
    use roomful_store::{
        AppendResult, Audit, AuditEntry, AuditPage, AuditRecord, Block, CatchUp, CaughtUp, EnterRoom,
        Entered, Erasure, ErasureStep, ExportPart, ExportRow, Log, LogEntry, LogHead, LogPosition, Members,
        Missed, Moderation, ModerationAct, NewReport, NewSession, Notifications, PersonalData, Report,
        ReportPage, ReportQuota, Reported, Reports, Resolution, Restrictions, Resume, Resumed, RoomRules,
        Rooms, RoomsAbout, Sanction, SanctionPage, SessionKey, SessionOwner, Sessions, Subscribed, Users,
    };
    use roomful_store::{
        ChosenStatus, Delivered, DeliveredMark, DeliveredUpto, Entry, History, Inbox, InboxCursor, Joined,
        Marked, Member, NewEntry, NewNotification, NotificationList, NotificationPage, NotificationRetention,
        NotificationsRead, Outage, Page, Posted, ProfileChange, Reaction, ReadWhich, Recorded, Retention,
        Role, RoomChange, RoomId, RoomRow, Store, StoreError, Undelivered, Unread, UserRow,
    };

    #[async_trait]
    impl Log for super::Flaky {
        async fn append_with_positions(&self, entries: Vec<NewEntry>) -> Result<AppendResult, StoreError> {
            match self.mode.load(Ordering::SeqCst) {
                0 => self.inner.append_with_positions(entries).await,
                1 => Err(Outage::DiskFull.into()),
                _ => {
                    self.inner.append_with_positions(entries).await?;
                    Err(Outage::Io("the answer was lost".into()).into())
                }
            }
        }
        async fn delete_room_with(&self, room: RoomId, word: NewEntry) -> Result<AppendResult, StoreError> {
            match self.mode.load(Ordering::SeqCst) {
                0 => self.inner.delete_room_with(room, word).await,
                1 => Err(Outage::DiskFull.into()),
                _ => {
                    self.inner.delete_room_with(room, word).await?;
                    Err(Outage::Io("the answer was lost".into()).into())
                }
            }
        }
        fn log_head(&self) -> LogHead {
            self.inner.log_head()
        }
        async fn read_log_head(&self) -> Result<LogHead, StoreError> {
            self.inner.read_log_head().await
        }
        async fn log_entries(
            &self,
            after: LogPosition,
            upto: LogPosition,
            limit: u32,
        ) -> Result<Vec<LogEntry>, StoreError> {
            self.reads.fetch_add(1, Ordering::SeqCst);
            let found = self.inner.log_entries(after, upto, limit).await?;
            let unreadable = self.unreadable.load(Ordering::SeqCst);
            if unreadable
                && found
                    .iter()
                    .any(|placed| placed.entry.body.contains(super::UNREADABLE))
            {
                return Err(StoreError::Internal("an entry can't be read".into()));
            }
            Ok(found)
        }
        async fn room_at(&self, position: LogPosition) -> Result<Option<RoomId>, StoreError> {
            self.inner.room_at(position).await
        }
        async fn history(&self, room: RoomId, page: Page) -> Result<Option<History>, StoreError> {
            self.called().history(room, page).await
        }
        async fn catch_up(
            &self,
            asks: Vec<CatchUp>,
            bytes: usize,
        ) -> Result<Vec<Option<CaughtUp>>, StoreError> {
            self.called().catch_up(asks, bytes).await
        }
        async fn own_reactions(
            &self,
            user: &str,
            reactions: Vec<Reaction>,
        ) -> Result<Vec<Reaction>, StoreError> {
            self.called().own_reactions(user, reactions).await
        }
        async fn entry(&self, room: RoomId, seq: u64) -> Result<Option<Entry>, StoreError> {
            self.inner.entry(room, seq).await
        }
        async fn recorded(
            &self,
            room: RoomId,
            user: &str,
            client_id: &str,
        ) -> Result<Option<Recorded>, StoreError> {
            self.inner.recorded(room, user, client_id).await
        }
        async fn trim(&self, limits: Retention, now: i64) -> Result<u64, StoreError> {
            self.inner.trim(limits, now).await
        }
    }

    #[async_trait]
    impl Rooms for super::Flaky {
        async fn open_room(&self, name: &str, create: bool, at: i64) -> Result<Option<RoomRow>, StoreError> {
            self.called().open_room(name, create, at).await
        }
        async fn find_rooms(&self, names: &[String]) -> Result<Vec<Option<RoomRow>>, StoreError> {
            self.called().find_rooms(names).await
        }
        async fn create_room(&self, name: &str, user: &str, at: i64) -> Result<Option<RoomRow>, StoreError> {
            self.inner.create_room(name, user, at).await
        }
        async fn room(&self, id: RoomId) -> Result<Option<RoomRow>, StoreError> {
            self.inner.room(id).await
        }
        async fn put_room(
            &self,
            name: &str,
            change: RoomChange,
            at: i64,
        ) -> Result<(RoomRow, bool), StoreError> {
            self.inner.put_room(name, change, at).await
        }
        async fn delete_room(&self, room: RoomId) -> Result<bool, StoreError> {
            self.inner.delete_room(room).await
        }
        async fn rooms(&self, after: Option<&str>, limit: u32) -> Result<Vec<RoomRow>, StoreError> {
            self.inner.rooms(after, limit).await
        }
    }

    #[async_trait]
    impl Members for super::Flaky {
        async fn enter_room(&self, ask: EnterRoom) -> Result<Option<Entered>, StoreError> {
            self.called().enter_room(ask).await
        }
        async fn memberships(&self, user: &str, rooms: &[RoomId]) -> Result<Vec<Option<Member>>, StoreError> {
            self.called().memberships(user, rooms).await
        }
        async fn put_member(
            &self,
            room: RoomId,
            user: &str,
            role: Option<Role>,
            at: i64,
        ) -> Result<Option<Joined>, StoreError> {
            self.inner.put_member(room, user, role, at).await
        }
        async fn members(
            &self,
            room: RoomId,
            after: Option<&str>,
            limit: u32,
        ) -> Result<Vec<Member>, StoreError> {
            self.inner.members(room, after, limit).await
        }
        async fn count_members(&self, room: RoomId) -> Result<u64, StoreError> {
            self.inner.count_members(room).await
        }
        async fn leave(&self, room: RoomId, user: &str) -> Result<bool, StoreError> {
            self.inner.leave(room, user).await
        }
        async fn member(&self, room: RoomId, user: &str) -> Result<Option<Member>, StoreError> {
            self.called().member(room, user).await
        }
        async fn was_member(&self, room: RoomId, user: &str) -> Result<bool, StoreError> {
            self.called().was_member(room, user).await
        }
        async fn rooms_of(&self, user: &str, limit: u32) -> Result<Vec<RoomRow>, StoreError> {
            self.inner.rooms_of(user, limit).await
        }
        async fn sharing_a_room(&self, user: &str, others: &[String]) -> Result<Vec<String>, StoreError> {
            self.inner.sharing_a_room(user, others).await
        }
        async fn inbox(
            &self,
            user: &str,
            limit: u32,
            after: Option<InboxCursor>,
        ) -> Result<Inbox, StoreError> {
            self.inboxes.fetch_add(1, Ordering::SeqCst);
            let _held = self.listing.lock().await;
            self.inner.inbox(user, limit, after).await
        }
        async fn mark_read(
            &self,
            room: RoomId,
            user: &str,
            seq: u64,
            at: i64,
        ) -> Result<Option<Marked>, StoreError> {
            self.inner.mark_read(room, user, seq, at).await
        }
        async fn mark_room_delivered(
            &self,
            room: RoomId,
            user: &str,
            seq: u64,
        ) -> Result<Option<Delivered>, StoreError> {
            self.inner.mark_room_delivered(room, user, seq).await
        }
        async fn unread(&self, room: RoomId, user: &str) -> Result<Option<Unread>, StoreError> {
            self.called().unread(room, user).await
        }
    }

    #[async_trait]
    impl Users for super::Flaky {
        async fn touch_user(&self, user: &str, name: Option<&str>, last_seen: i64) -> Result<(), StoreError> {
            self.inner.touch_user(user, name, last_seen).await
        }
        async fn set_status(
            &self,
            user: &str,
            status: ChosenStatus,
            text: Option<&str>,
            at: i64,
        ) -> Result<(), StoreError> {
            match self.mode.load(Ordering::SeqCst) {
                1 => Err(Outage::DiskFull.into()),
                _ => self.inner.set_status(user, status, text, at).await,
            }
        }
        async fn put_profile(
            &self,
            user: &str,
            change: &ProfileChange,
            at: i64,
        ) -> Result<UserRow, StoreError> {
            self.inner.put_profile(user, change, at).await
        }
        async fn take_profile(
            &self,
            user: &str,
            name: Option<&str>,
            avatar: Option<&str>,
            issued_at: i64,
        ) -> Result<UserRow, StoreError> {
            self.inner.take_profile(user, name, avatar, issued_at).await
        }
        async fn users(&self, ids: &[String]) -> Result<Vec<UserRow>, StoreError> {
            match self.mode.load(Ordering::SeqCst) {
                1 => Err(Outage::DiskFull.into()),
                _ => self.called().users(ids).await,
            }
        }
        async fn revoke(&self, user: &str, before: i64) -> Result<(), StoreError> {
            self.inner.revoke(user, before).await
        }
        async fn revoked(&self, user: &str) -> Result<Option<i64>, StoreError> {
            self.inner.revoked(user).await
        }
        async fn forget_revocations(&self, cutoff: i64) -> Result<u64, StoreError> {
            self.inner.forget_revocations(cutoff).await
        }
    }

    #[async_trait]
    impl Moderation for super::Flaky {
        async fn moderate(&self, act: ModerationAct, control: NewEntry) -> Result<AppendResult, StoreError> {
            self.inner.moderate(act, control).await
        }
        async fn sanctions_of(
            &self,
            room: Option<RoomId>,
            user: &str,
            now: i64,
        ) -> Result<Vec<Sanction>, StoreError> {
            self.inner.sanctions_of(room, user, now).await
        }
        async fn all_sanctions_of(
            &self,
            user: &str,
            now: i64,
            limit: u32,
        ) -> Result<Vec<Sanction>, StoreError> {
            self.inner.all_sanctions_of(user, now, limit).await
        }
        async fn sanctions(&self, page: SanctionPage) -> Result<Vec<Sanction>, StoreError> {
            self.inner.sanctions(page).await
        }
        async fn restrictions(
            &self,
            rooms: &[RoomId],
            user: &str,
            now: i64,
        ) -> Result<Vec<Restrictions>, StoreError> {
            self.inner.restrictions(rooms, user, now).await
        }
        async fn room_rules(&self, room: RoomId) -> Result<RoomRules, StoreError> {
            self.inner.room_rules(room).await
        }
        async fn is_banned(&self, user: &str, now: i64) -> Result<bool, StoreError> {
            self.inner.is_banned(user, now).await
        }
        async fn moderators(&self, room: RoomId, limit: u32) -> Result<Vec<String>, StoreError> {
            self.inner.moderators(room, limit).await
        }
        async fn messages_of(
            &self,
            room: RoomId,
            user: &str,
            before: u64,
            limit: u32,
        ) -> Result<Vec<u64>, StoreError> {
            self.inner.messages_of(room, user, before, limit).await
        }
        async fn blocks(&self, user: &str) -> Result<Vec<Block>, StoreError> {
            self.inner.blocks(user).await
        }
        async fn blockers_among(&self, user: &str, candidates: &[String]) -> Result<Vec<String>, StoreError> {
            self.inner.blockers_among(user, candidates).await
        }
        async fn forget_sanctions(&self, cutoff: i64) -> Result<u64, StoreError> {
            self.inner.forget_sanctions(cutoff).await
        }
    }

    #[async_trait]
    impl Reports for super::Flaky {
        async fn report(&self, report: NewReport, quota: ReportQuota) -> Result<Reported, StoreError> {
            self.inner.report(report, quota).await
        }
        async fn reports(&self, page: ReportPage) -> Result<Vec<Report>, StoreError> {
            self.inner.reports(page).await
        }
        async fn report_by_id(&self, id: i64) -> Result<Option<Report>, StoreError> {
            self.inner.report_by_id(id).await
        }
        async fn resolve_report(&self, resolution: Resolution) -> Result<bool, StoreError> {
            self.inner.resolve_report(resolution).await
        }
        async fn trim_reports(&self, kept_ms: i64, now: i64) -> Result<u64, StoreError> {
            self.inner.trim_reports(kept_ms, now).await
        }
    }

    #[async_trait]
    impl Audit for super::Flaky {
        async fn record_audit(&self, record: AuditRecord) -> Result<(), StoreError> {
            self.inner.record_audit(record).await
        }
        async fn audit(&self, page: AuditPage) -> Result<Vec<AuditEntry>, StoreError> {
            self.inner.audit(page).await
        }
        async fn trim_audit(&self, kept_ms: i64, now: i64) -> Result<u64, StoreError> {
            self.inner.trim_audit(kept_ms, now).await
        }
    }

    #[async_trait]
    impl PersonalData for super::Flaky {
        async fn rooms_about(&self, user: &str, after: RoomId) -> Result<RoomsAbout, StoreError> {
            self.inner.rooms_about(user, after).await
        }
        async fn export(
            &self,
            user: &str,
            part: ExportPart,
            after: i64,
            limit: u32,
        ) -> Result<Vec<ExportRow>, StoreError> {
            self.inner.export(user, part, after, limit).await
        }
        async fn begin_erasure(&self, erasure: Erasure) -> Result<Erasure, StoreError> {
            self.inner.begin_erasure(erasure).await
        }
        async fn take_over_erasure(&self, user: &str, from: &str, to: &str) -> Result<bool, StoreError> {
            self.inner.take_over_erasure(user, from, to).await
        }
        async fn erasures(&self) -> Result<Vec<Erasure>, StoreError> {
            self.inner.erasures().await
        }
        async fn erase(
            &self,
            erasure: &Erasure,
            step: ErasureStep,
            from: i64,
        ) -> Result<Option<i64>, StoreError> {
            self.inner.erase(erasure, step, from).await
        }
        async fn append_in_erasure(
            &self,
            erasure: &Erasure,
            control: NewEntry,
        ) -> Result<AppendResult, StoreError> {
            self.inner.append_in_erasure(erasure, control).await
        }
        async fn end_erasure(&self, erasure: &Erasure) -> Result<(), StoreError> {
            self.inner.end_erasure(erasure).await
        }
    }

    #[async_trait]
    impl Notifications for super::Flaky {
        async fn notify(&self, notification: NewNotification) -> Result<Posted, StoreError> {
            self.inner.notify(notification).await
        }
        async fn notifications(
            &self,
            user: &str,
            page: NotificationPage,
        ) -> Result<Option<NotificationList>, StoreError> {
            self.inner.notifications(user, page).await
        }
        async fn read_notifications(
            &self,
            user: &str,
            which: ReadWhich,
            at: i64,
        ) -> Result<Option<NotificationsRead>, StoreError> {
            self.inner.read_notifications(user, which, at).await
        }
        async fn undelivered(
            &self,
            user: &str,
            device: &str,
            after: DeliveredUpto,
            limit: u32,
            max_bytes: usize,
        ) -> Result<Undelivered, StoreError> {
            self.inner
                .undelivered(user, device, after, limit, max_bytes)
                .await
        }
        async fn mark_delivered(&self, marks: Vec<DeliveredMark>, at: i64) -> Result<(), StoreError> {
            self.inner.mark_delivered(marks, at).await
        }
        async fn trim_notifications(
            &self,
            limits: NotificationRetention,
            now: i64,
        ) -> Result<u64, StoreError> {
            self.inner.trim_notifications(limits, now).await
        }
    }

    #[async_trait]
    impl Sessions for super::Flaky {
        async fn missed(&self, ask: Missed) -> Result<Option<Vec<LogEntry>>, StoreError> {
            self.called().missed(ask).await
        }
        async fn begin_session(&self, session: NewSession) -> Result<(), StoreError> {
            let _held = self.beginning.lock().await;
            self.inner.begin_session(session).await
        }
        async fn subscribe(
            &self,
            key: SessionKey,
            owner: SessionOwner,
            room: RoomId,
            after: u64,
            membership: u64,
        ) -> Result<bool, StoreError> {
            self.called().subscribe(key, owner, room, after, membership).await
        }
        async fn subscribe_all(
            &self,
            key: SessionKey,
            owner: SessionOwner,
            user: &str,
            rooms: Vec<(RoomId, u64)>,
        ) -> Result<Subscribed, StoreError> {
            self.called().subscribe_all(key, owner, user, rooms).await
        }
        async fn unsubscribe(
            &self,
            key: SessionKey,
            owner: SessionOwner,
            rooms: Vec<RoomId>,
        ) -> Result<(), StoreError> {
            self.inner.unsubscribe(key, owner, rooms).await
        }
        async fn mark_session_lost(
            &self,
            key: SessionKey,
            owner: SessionOwner,
            at: i64,
            keep: u32,
        ) -> Result<(), StoreError> {
            if self.mode.load(Ordering::SeqCst) == 1 {
                self.untold.fetch_add(1, Ordering::SeqCst);
                return Err(Outage::DiskFull.into());
            }
            self.inner.mark_session_lost(key, owner, at, keep).await
        }
        async fn end_lost_sessions(&self, user: &str) -> Result<(), StoreError> {
            self.inner.end_lost_sessions(user).await
        }
        async fn end_session(&self, key: SessionKey, owner: SessionOwner) -> Result<(), StoreError> {
            self.inner.end_session(key, owner).await
        }
        async fn resume_session(&self, ask: Resume) -> Result<Option<Resumed>, StoreError> {
            self.resumes.fetch_add(1, Ordering::SeqCst);
            let _held = self.resuming.lock().await;
            self.called().resume_session(ask).await
        }
        async fn mark_all_sessions_lost(&self) -> Result<(), StoreError> {
            self.inner.mark_all_sessions_lost().await
        }
        async fn heartbeat(&self, at: i64, lost_before: i64) -> Result<(), StoreError> {
            self.inner.heartbeat(at, lost_before).await
        }
    }

    #[async_trait]
    impl Store for super::Flaky {
        fn identity(&self) -> &str {
            self.inner.identity()
        }
        async fn check(&self) -> Result<(), StoreError> {
            self.inner.check().await
        }
        async fn size(&self) -> Result<u64, StoreError> {
            self.inner.size().await
        }
        async fn close(&self) {
            self.inner.close().await;
        }
    }
}

pub(crate) async fn on_flaky() -> (Arc<Flaky>, Server) {
    let (store, data) = Flaky::open();
    let server = Server::on(store.clone(), data, |_| ()).await;
    (store, server)
}

#[tokio::test]
async fn a_status_is_announced_only_if_stored_and_never_guessed() {
    let (store, server) = on_flaky().await;
    let alice = server.joined("alice", "lobby").await;
    let bob = server.joined("bob", "lobby").await;
    alice.next_event("presence:online").await.unwrap();
    store.mode.store(1, Ordering::SeqCst);
    let away = json!({ "status": "away" });
    failed(bob.call("presence:set_status", &away).await, "unavailable");
    ok(alice.call("chat:get_history", &json!("lobby")).await);
    assert!(alice.drain("presence:status").is_empty());

    // The server refuses a user of unknown visibility, who may be invisible.
    let auth =
        json!({ "token": roomful_testkit::token::with_claims(crate::fixture::SECRET, &claims("carol")) });
    // It closes the transport instead of refusing, since stock clients give up after a refusal. It then
    // accepts no connection for a while.
    let lost = server.try_connect(&auth).await.unwrap_err();
    assert!(matches!(lost, roomful_testkit::Error::Closed { .. }), "{lost}");
    store.mode.store(0, Ordering::SeqCst);
    let handshake = "/socket.io/?EIO=4&transport=polling";
    let status = async || {
        roomful_testkit::http::get(server.addr, handshake)
            .await
            .unwrap()
            .status
    };
    assert_eq!(status().await, 503);
    server.clock.advance(1_000);
    assert_eq!(status().await, 200);
    ok(bob.call("presence:set_status", &away).await);
    assert_eq!(
        alice.next_event("presence:status").await.unwrap()["status"],
        "away"
    );
    let carol = server.joined("carol", "lobby").await;
    assert_eq!(
        alice.next_event("presence:online").await.unwrap()["userId"],
        "carol"
    );
    settle(&carol).await;
}

#[tokio::test]
async fn a_connection_lost_during_a_store_failure_is_recoverable_afterwards() {
    let (store, server) = on_flaky().await;
    let alice = server.joined("alice", "lobby").await;
    for beats in [0, 2] {
        let bob = server.joined("bob", "lobby").await;
        store.mode.store(1, Ordering::SeqCst);
        let (claim, _) = lose(&server, bob).await;
        while store.untold.swap(0, Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        store.mode.store(0, Ordering::SeqCst);
        // Independent of whether the store has learnt of the loss.
        for _ in 0..beats {
            server.clock.advance(5_000);
            settle(&alice).await;
        }
        let missed = send(&alice, "lobby", "missed").await;
        let (bob, recovered) = come_back(&server, "bob", &claim).await;
        assert!(recovered);
        assert_eq!(
            seq(&bob.next_event("chat:receive_message").await.unwrap()),
            seq(&missed)
        );
    }
}

#[tokio::test]
async fn sends_fail_with_the_store_and_committed_ones_are_delivered_in_order() {
    let (store, server) = on_flaky().await;
    let alice = server.joined("alice", "lobby").await;
    let bob = server.joined("bob", "lobby").await;
    let message = |n: u64| json!({ "room": "lobby", "text": n.to_string(), "clientId": n.to_string() });
    ok(alice.call("chat:send_message", &message(1)).await);

    store.mode.store(1, Ordering::SeqCst);
    let error = failed(alice.call("chat:send_message", &message(2)).await, "unavailable");
    assert_eq!(error["retryable"], true);
    ok(bob.call("chat:get_history", &json!("lobby")).await);

    store.mode.store(2, Ordering::SeqCst);
    failed(alice.call("chat:send_message", &message(2)).await, "unavailable");

    store.mode.store(0, Ordering::SeqCst);
    assert_eq!(ok(bob.call("chat:send_message", &message(3)).await)["seq"], 3);
    let retried = ok(alice.call("chat:send_message", &message(2)).await);
    assert_eq!(
        (&retried["seq"], &retried["duplicate"]),
        (&json!(2), &json!(true))
    );
    settle(&bob).await;
    let received: Vec<_> = bob.drain("chat:receive_message").iter().map(seq).collect();
    assert_eq!(received, [1, 2, 3]);
}
