//! The membership registry in Redis: Lua scripts that use the clock of Redis.

mod lease_cache;
mod scripts;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use redis::{FromRedisValue, RedisError, ScriptInvocation, aio::MultiplexedConnection};
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};

use self::{lease_cache::LeaseCache, scripts::SCRIPTS};
use super::{
    closed,
    connector::{bus_error, is_wrong_server},
    shared::Shared,
    url::ServerAddr,
};
use crate::{BusError, Entry, ExpiredEntry, Heartbeat, Membership};

/// Keys per call of the script `entries`, so that no call blocks Redis for long.
const KEYS_PER_CALL: usize = 200;

/// Entries per call of the script `take_expired`.
const EXPIRED_PER_CALL: usize = 500;

/// How long a caller of `take_expired` keeps its claim. It confirms at once, or not at all.
const CLAIM: Duration = Duration::from_secs(10);

/// The registry on the master of its slot.
pub(crate) struct RedisMembership {
    shared: Arc<Shared>,
    /// Prefix of all keys, with a hash tag.
    base: String,
    leases: LeaseCache,
    /// Locked while connecting, so that concurrent calls share one connection.
    open: Mutex<Option<Open>>,
}

struct Open {
    addr: ServerAddr,
    connection: MultiplexedConnection,
    number: u64,
}

/// Pairs of member and value.
type Pairs = Vec<(String, Vec<u8>)>;

impl RedisMembership {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        let tag = format!("{{{}membership}}", shared.options.prefix);
        Self {
            base: shared.options.scoped(tag),
            shared: Arc::clone(shared),
            leases: LeaseCache::default(),
            open: Mutex::new(None),
        }
    }

    /// Pings the master of the registry.
    pub(crate) async fn check(&self) -> Result<(), BusError> {
        self.with_deadline(async {
            let (mut connection, number) = self.connection().await?;
            let pong = redis::cmd("PING").query_async::<()>(&mut connection).await;
            if pong.is_err() {
                self.drop_connection(number).await;
            }
            pong.map_err(|error| bus_error(&error))
        })
        .await
    }

    pub(crate) async fn close(&self) {
        *self.open.lock().await = None;
    }

    /// Runs a script, and once more on a new connection if the first one broke. All scripts are safe to
    /// run twice.
    async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, BusError> {
        self.with_deadline(async {
            let (mut connection, number) = self.connection().await?;
            let first = self.try_run(script, &mut connection, number).await;
            match first {
                // Redis has restarted since the last call, or another server is master.
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
                Some("EXPIRED") => BusError::Expired,
                _ => bus_error(&error),
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
        let answer = self
            .shared
            .connector
            .in_time(script.invoke_async(connection))
            .await;
        if let Err(error) = &answer {
            if is_wrong_server(error) {
                self.shared.rediscover.notify_one();
            }
            // A slow connection could still deliver old answers. After a failover it leads to the wrong
            // server.
            if is_wrong_server(error) || error.is_io_error() || error.is_unrecoverable_error() {
                self.drop_connection(number).await;
            }
        }
        answer
    }

    /// Limits the time of a call, which includes waiting for another call that connects.
    ///
    /// Waits for the first discovery without that limit: silent servers make it slow, and the caller
    /// needs its outcome.
    async fn with_deadline<T>(&self, work: impl Future<Output = Result<T, BusError>>) -> Result<T, BusError> {
        if self.shared.is_closed() {
            return Err(closed());
        }
        self.shared.first_discovery().await;
        let limit = self.shared.options.timeout * 2;
        timeout(limit, work)
            .await
            .unwrap_or_else(|_| Err(BusError::Unavailable(format!("no answer within {limit:?}"))))
    }

    async fn connection(&self) -> Result<(MultiplexedConnection, u64), BusError> {
        let addr = self.addr().await?;
        let mut open = self.open.lock().await;
        let number = open.as_ref().map_or(0, |open| open.number);
        if let Some(open) = open.as_ref().filter(|open| open.addr == addr) {
            return Ok((open.connection.clone(), number));
        }
        // Boxed: connecting is rare and its future is large, so calls should not carry it.
        let connecting = Box::pin(self.shared.connector.connect(&addr, None)).await;
        let connection = match connecting {
            Ok(connection) => connection,
            Err(error) => {
                self.shared.rediscover.notify_one();
                return Err(error);
            }
        };
        let number = number + 1;
        *open = Some(Open {
            addr,
            connection: connection.clone(),
            number,
        });
        Ok((connection, number))
    }

    /// Address of the registry's master. Waits while its slot has none, unless discovery has failed.
    async fn addr(&self) -> Result<ServerAddr, BusError> {
        let slot = self.shared.slot(&self.base);
        let mut map = self.shared.shard_map.subscribe();
        let mut discovered = self.shared.discovered.subscribe();
        tokio::select! {
            biased;
            Ok(map) = map.wait_for(|map| map.shard(slot).is_some()) => {
                map.shard(slot).map(|shard| shard.addr.clone())
            }
            Ok(outcome) = discovered.wait_for(|outcome| matches!(outcome, Some(Err(_)))) => {
                return Err(outcome.clone().and_then(Result::err).unwrap_or_else(no_master));
            }
            () = sleep(self.shared.options.timeout) => None,
        }
        .ok_or_else(no_master)
    }

    async fn drop_connection(&self, number: u64) {
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
        let before = self.leases.get(member);
        let (token, writes, others): (String, u64, Pairs) = self.run(&script).await?;
        self.leases.wrote(member, &before, &token, writes);
        Ok(entries(others))
    }
}

#[async_trait::async_trait]
impl Membership for RedisMembership {
    async fn heartbeat(&self, member: &str, info: Bytes, ttl: Duration) -> Result<Heartbeat, BusError> {
        if self.leases.is_expired(member) {
            return Ok(Heartbeat::Expired);
        }
        let (token, writes) = self.leases.get(member);
        let mut script = SCRIPTS.heartbeat.key(&self.base);
        script
            .arg(member)
            .arg(&info[..])
            .arg(millis(ttl))
            .arg(token)
            .arg(writes);
        match self.run::<(bool, String)>(&script).await {
            Ok((true, token)) => {
                self.leases.started(member, token);
                Ok(Heartbeat::Started)
            }
            Ok((false, _)) => Ok(Heartbeat::Renewed),
            Err(BusError::Expired) => {
                self.leases.expired(member);
                Ok(Heartbeat::Expired)
            }
            Err(error) => Err(error),
        }
    }

    async fn leave(&self, member: &str, linger: Duration) -> Result<(), BusError> {
        let mut script = SCRIPTS.leave.key(&self.base);
        script
            .arg(member)
            .arg(linger.as_millis().try_into().unwrap_or(u64::MAX));
        self.run(&script).await
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
        for keys in keys.chunks(KEYS_PER_CALL) {
            let lists: Vec<Pairs> = self.run(SCRIPTS.entries.key(&self.base).arg(keys)).await?;
            found.extend(lists.into_iter().map(entries));
        }
        Ok(found)
    }

    async fn take_expired(&self, limit: usize) -> Result<Vec<ExpiredEntry>, BusError> {
        let mut taken = Vec::new();
        while taken.len() < limit {
            let most = (limit - taken.len()).min(EXPIRED_PER_CALL);
            // A claim of its own for each call, so that a late answer cannot confirm another call.
            let claim = format!("{:016x}", rand::random::<u64>());
            let mut script = SCRIPTS.take_expired.key(&self.base);
            script.arg(most).arg(&claim).arg(millis(CLAIM));
            let found: Vec<(String, String, Vec<u8>, Pairs)> = match self.run(&script).await {
                Ok(found) => found,
                Err(error) if taken.is_empty() => return Err(error),
                // Returns the entries of earlier calls, which are confirmed already.
                Err(_) => break,
            };
            if found.is_empty() {
                break;
            }
            let mut script = SCRIPTS.confirm_expired.key(&self.base);
            script.arg(claim);
            for (key, member, ..) in &found {
                script.arg(member).arg(key);
            }
            let confirmed = self.run::<()>(&script).await;
            let full = found.len() == most;
            taken.extend(
                found
                    .into_iter()
                    .map(|(key, member, value, others)| ExpiredEntry {
                        key,
                        entry: Entry {
                            member,
                            value: value.into(),
                        },
                        others: entries(others),
                    }),
            );
            // Unconfirmed entries are returned again later: twice is better than never.
            if confirmed.is_err() || !full {
                break;
            }
        }
        Ok(taken)
    }

    async fn acquire_lock(&self, member: &str, name: &str, ttl: Duration) -> Result<bool, BusError> {
        let mut script = SCRIPTS.acquire_lock.key(&self.base);
        script.arg(member).arg(name).arg(millis(ttl));
        self.run(&script).await
    }
}

fn no_master() -> BusError {
    BusError::Unavailable("no master is known yet".into())
}

fn entries(pairs: Pairs) -> Vec<Entry> {
    let entries = pairs.into_iter().map(|(member, value)| Entry {
        member,
        value: value.into(),
    });
    entries.collect()
}

/// Milliseconds for Redis, which accepts no TTL of zero.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis())
        .unwrap_or(u64::MAX)
        .clamp(1, u64::from(u32::MAX))
}
