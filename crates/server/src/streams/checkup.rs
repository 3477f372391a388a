//! What is to be said of a stream and its Redis before it is used: is it there, will it take what comes, and will it keep
//! it. Nothing is written.

use std::time::Duration;

use redis::{AsyncCommands as _, aio::MultiplexedConnection};

use super::connection::Connection;
use crate::config::Stream;

/// How long Redis may take for each step.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Checkup {
    /// All is well.
    Well,
    /// It works, but what is kept may be lost.
    Doubtful(String),
    /// Records would wait.
    Broken(String),
}

/// Looks at the stream.
pub(crate) async fn check(stream: &Stream) -> Checkup {
    let Some(connection) = Connection::new(stream, PATIENCE) else {
        return Checkup::Broken("its url is none of Redis".to_owned());
    };
    let mut open = match connection.connect().await {
        Ok(open) => open,
        Err(failure) => return Checkup::Broken(failure.error),
    };
    let asked = connection.within_patience(ask(&mut open, &stream.key)).await;
    match asked {
        Ok((kind, info)) => judge(&stream.key, &kind, &info),
        Err(failure) => Checkup::Doubtful(format!("it answers, but can't be asked more: {}", failure.error)),
    }
}

/// The type of what stands under the key, and what Redis tells of itself.
async fn ask(open: &mut MultiplexedConnection, key: &str) -> redis::RedisResult<(String, String)> {
    let kind: redis::ValueType = open.key_type(key).await?;
    let info: String = redis::cmd("INFO").query_async(open).await?;
    Ok((String::from(kind), info))
}

fn judge(key: &str, kind: &str, info: &str) -> Checkup {
    let told = |name: &str| {
        let mut lines = info.lines().filter_map(|line| line.trim_end().split_once(':'));
        lines.find(|(field, _)| *field == name).map(|(_, value)| value)
    };
    if !matches!(kind, "none" | "stream") {
        return Checkup::Broken(format!("the key {key:?} holds a {kind}; choose another `key`"));
    }
    if told("role") == Some("slave") {
        return Checkup::Broken(
            "it is a replica, which takes no writes; give the primary's address".to_owned(),
        );
    }
    if told("cluster_enabled") == Some("1") {
        return Checkup::Doubtful(
            "it is part of a cluster; redirects are not followed, so give the node that holds the key"
                .to_owned(),
        );
    }
    if let Some(policy) = told("maxmemory_policy").filter(|policy| policy.starts_with("allkeys-")) {
        return Checkup::Doubtful(format!(
            "with maxmemory-policy {policy} Redis drops the whole stream when memory is short; noeviction lets records wait here"
        ));
    }
    if told("aof_enabled") == Some("0") {
        return Checkup::Doubtful(
            "what it took since its last snapshot is lost when it dies; set appendonly yes".to_owned(),
        );
    }
    Checkup::Well
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_redis_tells_of_itself_is_judged() {
        let fine = "# Replication\r\nrole:master\r\naof_enabled:1\r\nmaxmemory_policy:noeviction\r\ncluster_enabled:0\r\n";
        assert_eq!(judge("k", "none", fine), Checkup::Well);
        assert_eq!(judge("k", "stream", fine), Checkup::Well);
        let broken = |kind, info: &str| matches!(judge("k", kind, info), Checkup::Broken(_));
        assert!(broken("string", fine));
        assert!(broken("stream", &fine.replace("role:master", "role:slave")));
        let doubtful = |from, to| {
            matches!(
                judge("k", "stream", &fine.replace(from, to)),
                Checkup::Doubtful(_)
            )
        };
        assert!(doubtful("aof_enabled:1", "aof_enabled:0"));
        assert!(doubtful("policy:noeviction", "policy:allkeys-lru"));
        assert!(doubtful("cluster_enabled:0", "cluster_enabled:1"));
    }
}
