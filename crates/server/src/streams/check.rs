//! Check of a stream and its Redis for `roomful doctor`: reachable, writable, persistent. Writes nothing.

use std::time::Duration;

use redis::{AsyncCommands as _, aio::MultiplexedConnection};

use super::connection::Connection;
use crate::config::Stream;

/// Time limit of each step.
const STEP_TIMEOUT: Duration = Duration::from_secs(5);

/// Result of a check.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StreamCheck {
    /// No problem found.
    Ok,
    /// The stream works, but Redis may lose entries.
    Warning(String),
    /// Redis would not accept records.
    Failed(String),
}

/// Connects to the stream's Redis and checks it.
pub(crate) async fn check(stream: &Stream) -> StreamCheck {
    let Some(connection) = Connection::new(stream, STEP_TIMEOUT) else {
        return StreamCheck::Failed("its url is not a Redis URL".to_owned());
    };
    let mut open = match connection.connect().await {
        Ok(open) => open,
        Err(failure) => return StreamCheck::Failed(failure.error),
    };
    let result = connection.with_timeout(query(&mut open, &stream.key)).await;
    match result {
        Ok((kind, info)) => evaluate(&stream.key, &kind, &info),
        Err(failure) => {
            StreamCheck::Warning(format!("Redis answers, but the check failed: {}", failure.error))
        }
    }
}

/// The type of the key's value, and the output of INFO.
async fn query(open: &mut MultiplexedConnection, key: &str) -> redis::RedisResult<(String, String)> {
    let kind: redis::ValueType = open.key_type(key).await?;
    let info: String = redis::cmd("INFO").query_async(open).await?;
    Ok((String::from(kind), info))
}

fn evaluate(key: &str, kind: &str, info: &str) -> StreamCheck {
    let field = |name: &str| {
        let mut lines = info.lines().filter_map(|line| line.trim_end().split_once(':'));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    if !matches!(kind, "none" | "stream") {
        return StreamCheck::Failed(format!(
            "the key {key:?} is a {kind}, not a stream; choose another `key`"
        ));
    }
    if field("role") == Some("slave") {
        return StreamCheck::Failed("it is a read-only replica; use the address of the primary".to_owned());
    }
    if field("cluster_enabled") == Some("1") {
        return StreamCheck::Warning(
            "it is part of a Redis Cluster; use the node that owns the key, since redirects are not supported"
                .to_owned(),
        );
    }
    if let Some(policy) = field("maxmemory_policy").filter(|policy| policy.starts_with("allkeys-")) {
        return StreamCheck::Warning(format!(
            "with maxmemory-policy {policy} Redis may evict the whole stream when memory is low; set \
             noeviction"
        ));
    }
    if field("aof_enabled") == Some("0") {
        return StreamCheck::Warning(
            "a crash of Redis loses entries since its last snapshot; set appendonly yes".to_owned(),
        );
    }
    StreamCheck::Ok
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redis_info_decides_the_result() {
        let fine = "# Replication\r\nrole:master\r\naof_enabled:1\r\n\
            maxmemory_policy:noeviction\r\ncluster_enabled:0\r\n";
        assert_eq!(evaluate("k", "none", fine), StreamCheck::Ok);
        assert_eq!(evaluate("k", "stream", fine), StreamCheck::Ok);
        let broken = |kind, info: &str| matches!(evaluate("k", kind, info), StreamCheck::Failed(_));
        assert!(broken("string", fine));
        assert!(broken("stream", &fine.replace("role:master", "role:slave")));
        let doubtful = |from, to| {
            matches!(
                evaluate("k", "stream", &fine.replace(from, to)),
                StreamCheck::Warning(_)
            )
        };
        assert!(doubtful("aof_enabled:1", "aof_enabled:0"));
        assert!(doubtful("policy:noeviction", "policy:allkeys-lru"));
        assert!(doubtful("cluster_enabled:0", "cluster_enabled:1"));
    }
}
