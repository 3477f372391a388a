//! Scopes of API keys: what a key may do.

use std::{fmt, sync::Arc};

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    RoomsRead,
    RoomsWrite,
    MessagesRead,
    MessagesWrite,
    UsersRead,
    UsersWrite,
    NotificationsWrite,
    Moderation,
    FilesWrite,
    StatsRead,
    /// Settings, nodes, connections and the audit log.
    Admin,
}

impl Scope {
    pub(crate) const ALL: [Self; 11] = [
        Self::RoomsRead,
        Self::RoomsWrite,
        Self::MessagesRead,
        Self::MessagesWrite,
        Self::UsersRead,
        Self::UsersWrite,
        Self::NotificationsWrite,
        Self::Moderation,
        Self::FilesWrite,
        Self::StatsRead,
        Self::Admin,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::RoomsRead => "rooms:read",
            Self::RoomsWrite => "rooms:write",
            Self::MessagesRead => "messages:read",
            Self::MessagesWrite => "messages:write",
            Self::UsersRead => "users:read",
            Self::UsersWrite => "users:write",
            Self::NotificationsWrite => "notifications:write",
            Self::Moderation => "moderation",
            Self::FilesWrite => "files:write",
            Self::StatsRead => "stats:read",
            Self::Admin => "admin",
        }
    }

    /// The scope of this name.
    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The scopes that a call needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needed {
    /// None: every key may make the call.
    Nothing,
    One(Scope),
    /// Each of several, since the call concerns the data of all of them.
    Several(&'static [Scope]),
    All,
}

impl Needed {
    /// The scopes that a key must have.
    pub(crate) fn scopes(&self) -> &[Scope] {
        match self {
            Self::Nothing => &[],
            Self::One(scope) => std::slice::from_ref(scope),
            Self::Several(scopes) => scopes,
            Self::All => &Scope::ALL,
        }
    }
}

/// The caller: a key with its scopes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    name: Arc<str>,
    scopes: Arc<[Scope]>,
}

impl Caller {
    pub(crate) fn new(name: &str, scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self {
            name: name.into(),
            scopes: scopes.into_iter().collect(),
        }
    }

    /// The name under which moderation and the audit log know this key.
    pub(crate) fn actor(&self) -> String {
        format!("key:{}", self.name)
    }

    /// The key's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What the key may do.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = Scope> {
        self.scopes.iter().copied()
    }

    /// Whether the key may make an operator's calls.
    pub(crate) fn is_admin(&self) -> bool {
        self.scopes.contains(&Scope::Admin)
    }

    /// Checks that the key may make a call.
    ///
    /// # Errors
    /// The scope that it lacks.
    pub(crate) fn check(&self, needed: Needed) -> Result<(), Scope> {
        let mut scopes = needed.scopes().iter();
        let missing = scopes.find(|scope| !self.scopes.contains(scope));
        missing.map_or(Ok(()), |scope| Err(*scope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_found_by_name() {
        for scope in Scope::ALL {
            assert_eq!(Scope::of(scope.name()), Some(scope));
        }
        for wrong in ["", "rooms", "rooms:*", "ROOMS:READ", "admin "] {
            assert_eq!(Scope::of(wrong), None, "{wrong}");
        }
    }
}
