//! The ledger of operations by client id: one message, one sequence number, however often it was sent.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hasher as _};

use super::violation::Place;
use super::{Changed, Content, Logged, Name, Outcome, Sent, Violation, What};

/// The state of a (room, user, client id).
#[derive(Debug, Default)]
struct Known {
    acknowledged: Option<u64>,
    logged: Option<u64>,
    /// An ack said that it was new.
    new: bool,
    /// At least one attempt may have succeeded.
    possible: bool,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    known: HashMap<u64, Known>,
    /// All sent contents with their rooms.
    sent: HashSet<(u64, Content)>,
    /// Acknowledged entries that no read of the log has confirmed yet.
    unconfirmed: HashMap<Name, Unconfirmed>,
    /// The head of each log at its last read.
    heads: HashMap<Name, u64>,
}

#[derive(Debug, Default)]
struct Unconfirmed {
    messages: Vec<Sent>,
    /// The places of changes.
    changes: HashSet<u64>,
}

impl Ledger {
    /// One attempt to send.
    pub(super) fn sent(&mut self, sent: Sent, report: &mut impl FnMut(Violation)) {
        self.sent.insert((digest(&sent.room), sent.content));
        let known = self.known.entry(key(&sent)).or_default();
        match &sent.outcome {
            Outcome::Unknown => known.possible = true,
            Outcome::Failed(code) => known.possible |= may_have_happened(code),
            Outcome::Ok(stored) => {
                known.possible = true;
                if let Some(first) = known
                    .acknowledged
                    .or(known.logged)
                    .filter(|seq| *seq != stored.seq)
                {
                    report(two_seqs(&sent, first, stored.seq));
                } else if known.new && !stored.duplicate {
                    report(Violation::NewTwice {
                        room: sent.room.clone(),
                        user: sent.user.clone(),
                        client_id: sent.client_id.clone(),
                        seq: stored.seq,
                    });
                }
                known.new |= !stored.duplicate;
                known.acknowledged = Some(stored.seq);
                self.unconfirmed
                    .entry(sent.room.clone())
                    .or_default()
                    .messages
                    .push(sent);
            }
        }
    }

    /// One attempt to edit, delete or react.
    pub(super) fn changed(&mut self, changed: Changed, report: &mut impl FnMut(Violation)) {
        let Changed {
            room,
            user,
            client_id,
            content,
            outcome,
        } = changed;
        self.sent.insert((digest(&room), content));
        let Outcome::Ok(Some(stored)) = outcome else {
            return;
        };
        let known = self.known.entry(digest(&(&room, &user, &client_id))).or_default();
        if let Some(first) = known.acknowledged.filter(|seq| *seq != stored.seq) {
            report(Violation::TwoSeqs {
                room: room.clone(),
                user,
                client_id,
                first,
                second: stored.seq,
            });
        }
        known.acknowledged = Some(stored.seq);
        // The answer to a retry may name an entry of a part that was read before.
        if self.heads.get(&room).is_none_or(|head| *head < stored.seq) {
            self.unconfirmed
                .entry(room)
                .or_default()
                .changes
                .insert(stored.seq);
        }
    }

    /// An entry of the log.
    pub(super) fn logged(&mut self, room: &Name, entry: &Logged, report: &mut impl FnMut(Violation)) {
        let seq = entry.seq;
        let mut invented = || {
            report(Violation::Invented {
                room: room.clone(),
                seq,
            });
        };
        match &entry.what {
            What::Change(content) => {
                if content.is_some_and(|content| !self.sent.contains(&(digest(room), content))) {
                    return invented();
                }
                if let Some(unconfirmed) = self.unconfirmed.get_mut(room) {
                    unconfirmed.changes.remove(&seq);
                }
            }
            What::Message {
                user,
                client_id,
                content,
            } => {
                let said = content.is_none_or(|content| self.sent.contains(&(digest(room), content)));
                let Some(client_id) = client_id.as_ref().filter(|_| said) else {
                    return invented();
                };
                let Some(known) = self.known.get_mut(&digest(&(room, user, client_id))) else {
                    return invented();
                };
                let (room, user, client_id) = (room.clone(), user.clone(), client_id.clone());
                if let Some(first) = known.logged.filter(|first| *first != seq) {
                    report(Violation::TwoSeqs {
                        room,
                        user,
                        client_id,
                        first,
                        second: seq,
                    });
                } else if !known.possible {
                    report(Violation::RefusedButStored {
                        room,
                        user,
                        client_id,
                        seq,
                    });
                }
                known.logged = Some(seq);
            }
        }
    }

    /// The room's log was read up to `head`: it must contain all acknowledged entries.
    pub(super) fn settle(&mut self, room: &Name, head: u64, report: &mut impl FnMut(Violation)) {
        self.heads.insert(room.clone(), head);
        let Unconfirmed { messages, changes } = self.unconfirmed.remove(room).unwrap_or_default();
        if !changes.is_empty() {
            report(Violation::LostChange {
                room: room.clone(),
                lost: changes.len(),
            });
        }
        for sent in messages {
            let Outcome::Ok(stored) = &sent.outcome else {
                continue;
            };
            let logged = self.known.get(&key(&sent)).and_then(|known| known.logged);
            if logged != Some(stored.seq) {
                report(Violation::LostAck {
                    room: sent.room,
                    user: sent.user,
                    client_id: sent.client_id,
                    seq: stored.seq,
                    found: logged.map_or(Place::Nowhere, Place::At),
                });
            }
        }
    }
}

/// The codes of a server that does not know whether its store has carried out the operation.
fn may_have_happened(code: &str) -> bool {
    matches!(code, "unavailable" | "internal")
}

fn key(sent: &Sent) -> u64 {
    digest(&(&sent.room, &sent.user, &sent.client_id))
}

/// A digest in place of names, since the checker keeps millions of them.
fn digest(names: &impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    names.hash(&mut hasher);
    hasher.finish()
}

fn two_seqs(sent: &Sent, first: u64, second: u64) -> Violation {
    Violation::TwoSeqs {
        room: sent.room.clone(),
        user: sent.user.clone(),
        client_id: sent.client_id.clone(),
        first,
        second,
    }
}
