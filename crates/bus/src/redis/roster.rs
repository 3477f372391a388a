//! The roster, kept by scripts in the time of Redis.

mod known;
mod scripts;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use redis::{FromRedisValue, RedisError, ScriptInvocation, aio::MultiplexedConnection};
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};

use self::{known::Known, scripts::SCRIPTS};
use super::{
    closed,
    dial::{is_elsewhere, trouble},
    shared::Shared,
    target::Place,
};
use crate::{Beat, BusError, Entry, Roster, Swept};

/// How many keys one script looks up, so that Redis is never busy with one for long.
const KEYS: usize = 200;

/// How many entries one script sweeps.
const SWEEP: usize = 500;

/// For how long nobody else is given what a sweep has found. A sweeper confirms at once, or not at all.
const CLAIM: Duration = Duration::from_secs(10);

/// The roster on the master of its slot.
pub(crate) struct RedisRoster {
    shared: Arc<Shared>,
    /// What its keys begin with: a hash tag.
    base: String,
    known: Known,
    /// Held while it is made, so that many who need it make one.
    open: Mutex<Option<Open>>,
}

struct Open {
    place: Place,
    connection: MultiplexedConnection,
    number: u64,
}

/// The members and values of a list of both in turn.
type Pairs = Vec<(String, Vec<u8>)>;

impl RedisRoster {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        let tag = format!("{{{}roster}}", shared.options.prefix);
        Self {
            base: shared.options.scoped(tag),
            shared: Arc::clone(shared),
            known: Known::default(),
            open: Mutex::new(None),
        }
    }

    /// A sign of life of the roster's master.
    pub(crate) async fn check(&self) -> Result<(), BusError> {
        self.within_bounds(async {
            let (mut connection, number) = self.connection().await?;
            let pong = redis::cmd("PING").query_async::<()>(&mut connection).await;
            if pong.is_err() {
                self.give_up(number).await;
            }
            pong.map_err(|error| trouble(&error))
        })
        .await
    }

    pub(crate) async fn close(&self) {
        *self.open.lock().await = None;
    }

    /// Runs a script. All of them may be run twice.
    async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, BusError> {
        self.within_bounds(async {
            let (mut connection, number) = self.connection().await?;
            let first = self.try_run(script, &mut connection, number).await;
            match first {
                // Redis was started again, or another is master, most likely since the last time.
                Err(error) if error.is_unrecoverable_error() => {
                    let again = async {
                        let (mut connection, number) = self.connection().await?;
                        Ok::<_, BusError>(self.try_run(script, &mut connection, number).await)
                    };
                    Box::pin(again).await?
                }
                first => first,
            }
            .map_err(|error| match error.code() {
                Some("LAPSED") => BusError::Lapsed,
                _ => trouble(&error),
            })
        })
        .await
    }

    async fn try_run<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
        connection: &mut MultiplexedConnection,
        number: u64,
    ) -> Result<T, RedisError> {
        let answer = self.shared.dialer.in_time(script.invoke_async(connection)).await;
        if let Err(error) = &answer {
            if is_elsewhere(error) {
                self.shared.refresh.notify_one();
            }
            // On one that was slow, answers of before could still come; after a failover, it leads to the wrong one.
            if is_elsewhere(error) || error.is_io_error() || error.is_unrecoverable_error() {
                self.give_up(number).await;
            }
        }
        answer
    }

    /// Connecting is within a bound of its own, as is each answer; this one is for waiting on others who connect. The first
    /// round of asking who is master is not within it: with some that don't answer it takes longer, and how it ends is to be
    /// told at the start.
    async fn within_bounds<T>(&self, work: impl Future<Output = Result<T, BusError>>) -> Result<T, BusError> {
        if self.shared.is_closed() {
            return Err(closed());
        }
        self.shared.first_found().await;
        let patience = self.shared.options.timeout * 2;
        timeout(patience, work)
            .await
            .unwrap_or_else(|_| Err(BusError::Unavailable(format!("no answer within {patience:?}"))))
    }

    async fn connection(&self) -> Result<(MultiplexedConnection, u64), BusError> {
        let place = self.place().await?;
        let mut open = self.open.lock().await;
        let number = open.as_ref().map_or(0, |open| open.number);
        if let Some(open) = open.as_ref().filter(|open| open.place == place) {
            return Ok((open.connection.clone(), number));
        }
        // Seldom, and large: a crowd of calls at once is to have no place for it.
        let dialled = Box::pin(self.shared.dialer.connect(&place, None)).await;
        let connection = match dialled {
            Ok(connection) => connection,
            Err(error) => {
                self.shared.refresh.notify_one();
                return Err(error);
            }
        };
        let number = number + 1;
        *open = Some(Open {
            place,
            connection: connection.clone(),
            number,
        });
        Ok((connection, number))
    }

    /// Where the roster is. Waits while its slot has no master, but not if nobody knows any.
    async fn place(&self) -> Result<Place, BusError> {
        let slot = self.shared.slot(&self.base);
        let (mut route, mut found) = (self.shared.route.subscribe(), self.shared.found.subscribe());
        tokio::select! {
            biased;
            Ok(route) = route.wait_for(|route| route.lane(slot).is_some()) => {
                route.lane(slot).map(|lane| lane.place.clone())
            }
            Ok(found) = found.wait_for(|found| matches!(found, Some(Err(_)))) => {
                return Err(found.clone().and_then(Result::err).unwrap_or_else(unknown));
            }
            () = sleep(self.shared.options.timeout) => None,
        }
        .ok_or_else(unknown)
    }

    async fn give_up(&self, number: u64) {
        let mut open = self.open.lock().await;
        if open.as_ref().is_some_and(|open| open.number == number) {
            *open = None;
        }
    }

    async fn write(&self, member: &str, key: &str, value: Option<&[u8]>) -> Result<Vec<Entry>, BusError> {
        let mut script = SCRIPTS.write.key(&self.base);
        script.arg(member).arg(key);
        if let Some(value) = value {
            script.arg(value);
        }
        let before = self.known.of(member);
        let (token, writes, others): (String, u64, Pairs) = self.run(&script).await?;
        self.known.wrote(member, &before, &token, writes);
        Ok(entries(others))
    }
}

#[async_trait::async_trait]
impl Roster for RedisRoster {
    async fn beat(&self, member: &str, info: Bytes, ttl: Duration) -> Result<Beat, BusError> {
        if self.known.has_lapsed(member) {
            return Ok(Beat::Lapsed);
        }
        let (token, writes) = self.known.of(member);
        let mut script = SCRIPTS.beat.key(&self.base);
        script
            .arg(member)
            .arg(&info[..])
            .arg(millis(ttl))
            .arg(token)
            .arg(writes);
        match self.run::<(bool, String)>(&script).await {
            Ok((true, token)) => {
                self.known.began(member, token);
                Ok(Beat::Began)
            }
            Ok((false, _)) => Ok(Beat::Renewed),
            Err(BusError::Lapsed) => {
                self.known.lapsed(member);
                Ok(Beat::Lapsed)
            }
            Err(error) => Err(error),
        }
    }

    async fn resign(&self, member: &str) -> Result<(), BusError> {
        self.run(SCRIPTS.resign.key(&self.base).arg(member)).await
    }

    async fn members(&self) -> Result<Vec<Entry>, BusError> {
        self.run(&SCRIPTS.members.key(&self.base)).await.map(entries)
    }

    async fn put(&self, member: &str, key: &str, value: Bytes) -> Result<Vec<Entry>, BusError> {
        self.write(member, key, Some(&value)).await
    }

    async fn remove(&self, member: &str, key: &str) -> Result<Vec<Entry>, BusError> {
        self.write(member, key, None).await
    }

    async fn entries(&self, keys: &[String]) -> Result<Vec<Vec<Entry>>, BusError> {
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(KEYS) {
            let lists: Vec<Pairs> = self.run(SCRIPTS.entries.key(&self.base).arg(keys)).await?;
            found.extend(lists.into_iter().map(entries));
        }
        Ok(found)
    }

    async fn sweep(&self, limit: usize) -> Result<Vec<Swept>, BusError> {
        let mut swept = Vec::new();
        while swept.len() < limit {
            let most = (limit - swept.len()).min(SWEEP);
            // A name of its own, so that an answer which comes late confirms nothing else.
            let name = format!("{:016x}", rand::random::<u64>());
            let mut script = SCRIPTS.sweep.key(&self.base);
            script.arg(most).arg(&name).arg(millis(CLAIM));
            let found: Vec<(String, String, Vec<u8>, Pairs)> = match self.run(&script).await {
                Ok(found) => found,
                Err(error) if swept.is_empty() => return Err(error),
                // What was found before must not get lost.
                Err(_) => break,
            };
            if found.is_empty() {
                break;
            }
            let mut script = SCRIPTS.swept.key(&self.base);
            script.arg(name);
            for (key, member, ..) in &found {
                script.arg(member).arg(key);
            }
            let confirmed = self.run::<()>(&script).await;
            let full = found.len() == most;
            swept.extend(found.into_iter().map(|(key, member, value, others)| Swept {
                key,
                entry: Entry {
                    member,
                    value: value.into(),
                },
                others: entries(others),
            }));
            // If it was not confirmed, they will be found again: twice rather than never.
            if confirmed.is_err() || !full {
                break;
            }
        }
        Ok(swept)
    }

    async fn hold(&self, member: &str, name: &str, ttl: Duration) -> Result<bool, BusError> {
        let mut script = SCRIPTS.hold.key(&self.base);
        script.arg(member).arg(name).arg(millis(ttl));
        self.run(&script).await
    }
}

fn unknown() -> BusError {
    BusError::Unavailable("no master is known yet".into())
}

fn entries(pairs: Pairs) -> Vec<Entry> {
    let entries = pairs.into_iter().map(|(member, value)| Entry {
        member,
        value: value.into(),
    });
    entries.collect()
}

/// Redis knows no time of nothing.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis())
        .unwrap_or(u64::MAX)
        .clamp(1, u64::from(u32::MAX))
}
