//! Events and acks that a device receives.

use std::sync::atomic::Ordering;

use roomful_testkit::history::{Event, Joined, Mark, MarkEvent, MarkKind, Name, Outcome, Page, Seen, Stored};
use roomful_testkit::packet::{Kind, Packet};
use serde_json::Value;
use tokio::time::Instant;

use super::{Change, Device, Line, Message, Pending, REST, WINDOW, Why};
use crate::answer::{self, name, number};

impl Device {
    pub(super) async fn handle_packet(&mut self, line: &mut Line, packet: &Packet) {
        match packet.kind {
            Kind::Ack => {
                let pending = packet.id.and_then(|id| self.pending.remove(&id));
                match pending {
                    Some(pending) => self.answered(line, pending, &packet.data[0]).await,
                    None => self.report_unexpected("an ack that nobody asked for", &packet.data),
                }
            }
            Kind::Event => {
                if let Some(Value::String(offset)) = packet.data.as_array().and_then(|args| args.last()) {
                    self.offset = Some(offset.clone());
                }
                self.handle_event(&packet.data[0], &packet.data[1]);
            }
            _ => self.report_unexpected("a packet that no client expects", &packet.data),
        }
        if self.pending.len() < WINDOW && !self.paused {
            self.send_shared(line).await;
        }
    }

    fn handle_event(&mut self, event: &Value, data: &Value) {
        match event.as_str().unwrap_or_default() {
            "chat:receive_message" => self.delivered(&data["room"], answer::message(data)),
            "chat:message_edited" => self.delivered(&data["room"], answer::change("edited", data)),
            "chat:message_deleted" => self.delivered(&data["room"], answer::change("deleted", data)),
            "chat:reaction" => self.delivered(&data["room"], answer::change("reaction", data)),
            "chat:message_delivered" => self.record_mark(MarkKind::Delivered, data),
            "chat:message_read" => self.record_mark(MarkKind::Read, data),
            "notification:receive" => self.notified(name(&data["id"])),
            // The server announces an expired token before it closes the connection.
            "error" if data["code"] != "token_expired" => self.report_unexpected("an error", data),
            _ => {}
        }
    }

    fn delivered(&mut self, room: &Value, seen: Seen) {
        let Some(place) = self.places.iter_mut().find(|place| *room == *place.room) else {
            return self.report_unexpected("an entry of a room that is none of ours", room);
        };
        if self.recovered && !place.subscribed() {
            // A recovered session is in a room whose join was never answered or read to its end: join again.
            return;
        }
        place.delivered(seen.seq);
        self.run_state.recorder.record(Event::Delivered {
            device: self.status.name.clone(),
            room: place.room.clone(),
            seen,
        });
    }

    fn notified(&mut self, id: Name) {
        self.notified.insert(id.clone());
        self.status.notified.store(self.notified.len(), Ordering::SeqCst);
        self.run_state.recorder.record(Event::Notified {
            device: self.status.name.clone(),
            id,
        });
    }

    fn record_mark(&self, kind: MarkKind, data: &Value) {
        self.run_state.recorder.record(Event::MarkReported(MarkEvent {
            device: self.status.name.clone(),
            room: name(&data["room"]),
            user: name(&data["userId"]),
            kind,
            seq: number(&data["seq"]),
        }));
    }

    async fn answered(&mut self, line: &mut Line, pending: Pending, ack: &Value) {
        match (pending, answer::split(ack)) {
            (Pending::Send { message, why }, result) => self.sent(message, why, result),
            (Pending::Join { place, begun, since }, Ok(data)) => {
                self.joined(line, place, begun, since, data).await;
            }
            (Pending::Page { place }, Ok(data)) => self.page(line, place, data).await,
            (Pending::Mark { place, kind, begun }, Ok(data)) => {
                let seq = match kind {
                    MarkKind::Read => number(&data["readSeq"]),
                    MarkKind::Delivered => number(&data["deliveredSeq"]),
                };
                self.marked(place, kind, begun, seq);
            }
            (Pending::Change(change), result) => self.changed(&change, result),
            (Pending::Join { place, .. }, Err(code)) if passes(&code) => self.join(line, place).await,
            (Pending::Page { place }, Err(code)) if passes(&code) => {
                let after = self.places[place].seen();
                self.request_page(line, place, after).await;
            }
            (_, Err(code)) if passes(&code) => {}
            (Pending::Refresh, Ok(_)) => {}
            (pending, Err(_)) => self.report_unexpected(&format!("{pending:?} is refused"), ack),
        }
    }

    fn sent(&mut self, mut message: Message, why: Why, result: Result<&Value, Name>) {
        match result {
            Ok(data) => {
                let stored = Stored {
                    seq: number(&data["seq"]),
                    duplicate: data["duplicate"] == true,
                };
                // The server erases the first text of an edited or deleted message, so it cannot compare it.
                let place = (message.room.clone(), stored.seq);
                let erased = stored.duplicate && self.user.erased.lock().contains(&place);
                if !(erased && why == Why::Contest) {
                    self.attempted(&message, Outcome::Ok(stored));
                }
                self.run_state.record_seq(&message.room, stored.seq);
                if why == Why::Own {
                    message.seq = stored.seq;
                    self.user.remember(message);
                    self.run_state.one_more();
                }
            }
            Err(code) => {
                self.attempted(&message, Outcome::Failed(code.clone()));
                let expected = passes(&code) || (why == Why::Contest && &*code == "conflict");
                if !expected {
                    self.report_unexpected(
                        &format!("{} is refused", message.client_id),
                        &Value::from(&*code),
                    );
                }
                if why == Why::Own {
                    self.rest_until = Instant::now() + REST;
                    self.waiting.push_back(message);
                }
            }
        }
    }

    fn changed(&self, change: &Change, result: Result<&Value, Name>) {
        let outcome = match result {
            Ok(data) => Outcome::Ok(data["logSeq"].as_u64().map(|seq| Stored {
                seq,
                duplicate: data["duplicate"] == true,
            })),
            Err(code) => {
                // The target may be a change itself, or deleted.
                if !passes(&code) && &*code != "not_found" {
                    self.report_unexpected(&format!("{change:?} is refused"), &Value::from(&*code));
                }
                Outcome::Failed(code)
            }
        };
        self.tried(change, outcome);
    }

    async fn joined(&mut self, line: &mut Line, place: usize, begun: u64, since: Option<u64>, data: &Value) {
        let joined = Joined {
            device: self.status.name.clone(),
            room: self.places[place].room.clone(),
            epoch: name(&data["epoch"]),
            since,
            head: number(&data["head"]),
            reset: data["reset"] == true,
            more: data["more"] == true,
            entries: answer::page(data),
        };
        if since.is_some() && joined.reset {
            self.status.resets.fetch_add(1, Ordering::SeqCst);
        }
        let rest = self.places[place].joined(&joined);
        self.run_state.recorder.record(Event::Joined(joined));
        self.marked(place, MarkKind::Read, begun, number(&data["readSeq"]));
        self.marked(place, MarkKind::Delivered, begun, number(&data["deliveredSeq"]));
        if let Some(after) = rest {
            self.request_page(line, place, after).await;
        }
    }

    async fn page(&mut self, line: &mut Line, place: usize, data: &Value) {
        let page = Page {
            device: self.status.name.clone(),
            room: self.places[place].room.clone(),
            more: data["more"] == true,
            entries: answer::page(data),
        };
        let rest = self.places[place].page(&page);
        self.run_state.recorder.record(Event::Page(page));
        if let Some(after) = rest {
            self.request_page(line, place, after).await;
        }
    }

    fn marked(&self, place: usize, kind: MarkKind, begun: u64, seq: u64) {
        self.run_state.recorder.record(Event::Marked(Mark {
            room: self.places[place].room.clone(),
            user: self.user.name.clone(),
            kind,
            begun,
            ended: self.run_state.recorder.tick(),
            seq,
        }));
    }

    fn report_unexpected(&self, what: &str, data: &Value) {
        self.run_state
            .add_problem(format!("{}: {what}: {data}", self.status.name));
    }
}

/// True if the refusal is transient, or ends with a new connection.
fn passes(code: &str) -> bool {
    matches!(
        code,
        "unavailable" | "internal" | "rate_limited" | "token_expired" | "unauthorized"
    )
}
