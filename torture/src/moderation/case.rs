//! One case: a fresh user joins and writes, and the backend bans, mutes or erases the user meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::erasure_checks;
use super::judge::seq_of;
use super::laws::erasure::{self, Messages};
use super::laws::sanction::{self, Entry, Lift, Sanction};
use super::mark::Mark;
use super::shared::{ROOM, Shared};
use super::user_state::UserState;
use super::violation::SanctionKind;
use super::writer::Writer;
use crate::answer::name;
use crate::run::RECOVERY;

/// The most messages before the act of the backend.
const EARLY: usize = 30;
/// The most attempts under a sanction, and after an erasure.
const LATE: usize = 20;

/// What the backend does to the user.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Impose { kind: SanctionKind, everywhere: bool },
    Erase(Messages),
}

impl Act {
    /// Every act once.
    pub(super) const ALL: [Self; 6] = [
        Self::impose(SanctionKind::Ban, false),
        Self::Erase(Messages::Delete),
        Self::impose(SanctionKind::Mute, false),
        Self::impose(SanctionKind::Ban, true),
        Self::Erase(Messages::Anonymise),
        Self::impose(SanctionKind::Mute, true),
    ];

    const fn impose(kind: SanctionKind, everywhere: bool) -> Self {
        Self::Impose { kind, everywhere }
    }
}

pub(super) struct Case<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) number: u32,
    pub(super) rng: StdRng,
    user_state: Arc<UserState>,
}

impl<'a> Case<'a> {
    pub(super) fn new(shared: &'a Arc<Shared>, number: u32, rng: StdRng) -> Self {
        Self {
            shared,
            number,
            rng,
            user_state: Arc::default(),
        }
    }

    /// Runs the case. `None` if it could not be carried out, which is a trouble.
    pub(super) async fn run(&mut self, act: Act) -> Option<()> {
        let after = self.shared.mark_log(&mut self.rng).await?;
        let (shared, user_state) = (Arc::clone(self.shared), Arc::clone(&self.user_state));
        let writer = Writer::new(shared, self.number, user_state, self.rng.random());
        let mut writing = JoinSet::new();
        writing.spawn(writer.run());
        let early = self.rng.random_range(1..=EARLY);
        self.wait("wrote nothing", |user_state| user_state.stored() >= early)
            .await?;
        match act {
            Act::Impose { kind, everywhere } => {
                let sanction = self.impose(kind, everywhere).await?;
                self.end(writing).await;
                self.check_sanction(&sanction, after).await?;
            }
            Act::Erase(messages) => {
                let acked = self.erase(messages).await?;
                self.end(writing).await;
                self.check_erasure(messages, acked, after).await?;
            }
        }
        self.shared.count(|report| report.cases += 1);
        Some(())
    }

    /// Waits for what the user has tried. `None` if that does not come, which is a trouble.
    async fn wait(&self, otherwise: &str, reached: impl Fn(&UserState) -> bool) -> Option<()> {
        let run_state = &self.shared.run_state;
        if run_state.wait_until(RECOVERY, || reached(&self.user_state)).await {
            return Some(());
        }
        run_state.add_problem(format!("the user of case {} {otherwise}", self.number));
        None
    }

    /// Waits until the user has tried a few more things.
    async fn wait_for_attempts(&mut self) -> Option<()> {
        let enough = self.user_state.count() + self.rng.random_range(1..=LATE);
        self.wait("tries nothing", |user_state| user_state.count() >= enough)
            .await
    }

    async fn end(&self, mut writing: JoinSet<()>) {
        self.user_state.end();
        while writing.join_next().await.is_some() {}
    }

    fn path_of(&self, kind: SanctionKind, everywhere: bool) -> String {
        let user = Mark::user(self.number);
        if everywhere {
            format!("/users/{user}/{kind}")
        } else {
            format!("/rooms/{ROOM}/{kind}s/{user}")
        }
    }

    /// Bans or mutes the user, lets the user try to write, and lifts it.
    async fn impose(&mut self, kind: SanctionKind, everywhere: bool) -> Option<Sanction> {
        let shared = self.shared;
        let path = self.path_of(kind, everywhere);
        let begun = shared.tick();
        let imposed = shared
            .call_for(&mut self.rng, ("PUT", &path), &json!({}), &[200, 201])
            .await?;
        let acked = shared.tick();
        let marker = shared.mark_log(&mut self.rng).await?;
        self.wait_for_attempts().await?;
        let lift = Lift {
            marker: shared.mark_log(&mut self.rng).await?,
            asked: shared.tick(),
            acked: 0,
            is_final: imposed.is_certain,
        };
        let acked_lift = self.lift(&path, imposed.is_certain).await?;
        shared.count(|report| {
            match kind {
                SanctionKind::Ban => report.bans += 1,
                SanctionKind::Mute => report.mutes += 1,
            }
            report.lifts += 1;
        });
        Some(Sanction {
            kind,
            everywhere,
            asked: begun,
            acked,
            marker,
            lift: Lift {
                acked: acked_lift,
                ..lift
            },
        })
    }

    /// Ends a ban or a mute, and waits until the user writes again. Answers when the end was acknowledged.
    async fn lift(&mut self, path: &str, is_certain: bool) -> Option<u64> {
        let shared = self.shared;
        loop {
            shared
                .call_for(&mut self.rng, ("DELETE", path), &Value::Null, &[200, 404])
                .await?;
            let acked = shared.tick();
            let writes = |user_state: &UserState| user_state.has_sent_since(acked);
            if is_certain {
                // If this fails, the check says more.
                self.wait("does not write again after the end of a ban or a mute", writes)
                    .await;
                return Some(acked);
            }
            // A call without an answer may have imposed it again.
            let patience = RECOVERY / 10;
            if shared
                .run_state
                .wait_until(patience, || writes(&self.user_state))
                .await
            {
                return Some(acked);
            }
        }
    }

    async fn check_sanction(&mut self, sanction: &Sanction, after: u64) -> Option<()> {
        let end = self.shared.mark_log(&mut self.rng).await?;
        let log = self.shared.read_log(&mut self.rng, after, end).await?;
        let user = Mark::user(self.number).to_string();
        let own = log.iter().filter(|entry| entry["userId"] == *user);
        let entries: Vec<_> = own
            .map(|entry| Entry {
                seq: seq_of(entry),
                client_id: is_message(entry).then(|| name(&entry["clientId"])),
            })
            .collect();
        let found = sanction::check(self.number, sanction, &self.user_state.attempts(), &entries);
        self.shared.violate(found);
        Some(())
    }

    /// Erases the user, sometimes after other calls about the user. Answers when it was acknowledged.
    async fn erase(&mut self, messages: Messages) -> Option<u64> {
        self.prepare().await?;
        self.user_state.erases();
        let (user, how) = (Mark::user(self.number), messages.text());
        let path = format!("/users/{user}?messages={how}");
        self.shared
            .call_for(&mut self.rng, ("DELETE", &path), &Value::Null, &[200])
            .await?;
        let acked = self.shared.tick();
        self.shared.erased.lock().insert(self.number, messages);
        // The old token must not open anything.
        self.wait_for_attempts().await?;
        self.shared.count(|report| match messages {
            Messages::Delete => report.erasures += 1,
            Messages::Anonymise => report.anonymised += 1,
        });
        Some(acked)
    }

    /// Changes the profile, or mutes the user: the erasure must remove that, too. An attempt that got no
    /// answer could be carried out after the erasure and make the user known again, so the erasure waits
    /// then.
    async fn prepare(&mut self) -> Option<()> {
        let (user, reason) = (Mark::user(self.number), Mark::name(self.number).to_string());
        let kind = SanctionKind::Mute;
        let (path, body) = match self.rng.random_range(0..4) {
            0 => (
                format!("/users/{user}"),
                json!({ "name": reason, "metadata": { "by": reason } }),
            ),
            1 => (self.path_of(kind, false), json!({ "reason": reason })),
            2 => (self.path_of(kind, true), json!({ "reason": reason })),
            _ => return Some(()),
        };
        let changed = self
            .shared
            .call_for(&mut self.rng, ("PUT", &path), &body, &[200, 201])
            .await?;
        if !changed.is_certain {
            // Longer than any fault. By then the attempt has been carried out or has failed.
            tokio::time::sleep(RECOVERY / 4).await;
        }
        Some(())
    }

    async fn check_erasure(&mut self, messages: Messages, acked: u64, after: u64) -> Option<()> {
        let shared = self.shared;
        let attempts = self.user_state.attempts();
        shared.violate(erasure::check_attempts(self.number, acked, &attempts));
        let end = shared.mark_log(&mut self.rng).await?;
        let log = shared.read_log(&mut self.rng, after, end).await?;
        erasure_checks::check_log(shared, &log);
        if messages == Messages::Anonymise {
            let sent = log.iter().filter(|entry| is_message(entry));
            let texts: BTreeMap<u64, &str> = sent
                .map(|entry| (seq_of(entry), entry["text"].as_str().unwrap_or_default()))
                .collect();
            shared.violate(erasure::check_texts(self.number, &attempts, &texts));
        }
        erasure_checks::check_calls(shared, &mut self.rng, self.number).await?;
        erasure_checks::check_audit(shared, &mut self.rng, 1).await
    }
}

/// True for a message, false for a change.
fn is_message(entry: &Value) -> bool {
    entry.get("logSeq").is_none()
}
