//! The kinds of attacks.

use std::fmt;
use std::str::FromStr;

/// What hostile clients do at full speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attack {
    /// One user reads an inbox of 100 rooms with 10,000 unread messages each, on 50 connections.
    Inbox,
    /// One user synchronises 100 rooms on 50 connections.
    Sync,
    /// One user joins and leaves rooms on 50 connections.
    Joins,
    /// One user subscribes to the presence of 200 users, and sends the largest messages.
    ExpensiveEvents,
    /// 2,600 connections that never log in each hold an unfinished message.
    UnfinishedBytes,
    /// 1,100 HTTP connections that stay idle or do not read their answers.
    IdleHttp,
    /// API calls with a wrong key and a long path.
    RefusedApi,
    /// One user sends to a room with 900 absent members, whose webhook fails.
    AbsentMembers,
    /// Invalid CONNECT packets.
    RefusedConnects,
    /// Large events that the server refuses.
    RefusedEvents,
}

impl Attack {
    /// All kinds, in the order of reports.
    pub const ALL: [Self; 10] = [
        Self::Inbox,
        Self::Sync,
        Self::Joins,
        Self::ExpensiveEvents,
        Self::UnfinishedBytes,
        Self::IdleHttp,
        Self::RefusedApi,
        Self::AbsentMembers,
        Self::RefusedConnects,
        Self::RefusedEvents,
    ];

    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inbox => "inbox",
            Self::Sync => "sync",
            Self::Joins => "joins",
            Self::ExpensiveEvents => "expensive-events",
            Self::UnfinishedBytes => "unfinished-bytes",
            Self::IdleHttp => "idle-http",
            Self::RefusedApi => "refused-api",
            Self::AbsentMembers => "absent-members",
            Self::RefusedConnects => "refused-connects",
            Self::RefusedEvents => "refused-events",
        }
    }
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Attack {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|attack| attack.name() == text);
        found.ok_or_else(|| {
            format!(
                "unknown attack; known are {}",
                Self::ALL.map(Self::name).join(", ")
            )
        })
    }
}
