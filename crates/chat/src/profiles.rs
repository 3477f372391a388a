//! Profiles of users: a bounded cache in front of the store.

use std::sync::Arc;

use foldhash::{HashMap, HashMapExt as _, HashSet};
use indexmap::IndexMap;
use parking_lot::RwLock;
use roomful_store::Store;

use crate::{
    error::ChatError,
    types::{Profile, UserId},
};

/// Users' profiles by id. A user without a profile may be absent. A page looks up the author of each of its
/// messages, so the map hashes fast.
pub(crate) type FoundProfiles = HashMap<UserId, Arc<Profile>>;

/// The profiles that this node has read. Every change reaches all nodes, and replaces or removes the cached
/// profile.
pub(crate) struct Profiles {
    store: Arc<dyn Store>,
    capacity: usize,
    cache: RwLock<Cache>,
}

#[derive(Default)]
struct Cache {
    profiles: IndexMap<UserId, Arc<Profile>>,
    /// The index of the profile to evict next.
    oldest: usize,
    /// The number of changes, so that a read that began before a change does not undo it.
    changes: u64,
}

impl Cache {
    fn insert(&mut self, user: UserId, profile: Arc<Profile>, capacity: usize) {
        if self.profiles.len() >= capacity && !self.profiles.contains_key(&user) {
            // The newest profile takes the place of the evicted one, and is the last to be evicted.
            self.oldest %= self.profiles.len();
            self.profiles.swap_remove_index(self.oldest);
            self.oldest += 1;
        }
        self.profiles.insert(user, profile);
    }
}

impl Profiles {
    pub(crate) fn new(store: &Arc<dyn Store>, capacity: usize) -> Self {
        Self {
            store: Arc::clone(store),
            capacity: capacity.max(1),
            cache: RwLock::default(),
        }
    }

    /// The user's profile, if the cache has it.
    pub(crate) fn get(&self, user: &str) -> Option<Arc<Profile>> {
        self.cache.read().profiles.get(user).cloned()
    }

    /// The number of changes up to now, for [`Self::changed`].
    pub(crate) fn changes(&self) -> u64 {
        self.cache.read().changes
    }

    /// Replaces a profile that the store has changed since the number of changes was `before`. If there was
    /// another change meanwhile, it is unknown which one is newer, and the next call reads the store. A
    /// profile from a token alone is not cached for the change: most users connect without anybody asking for
    /// their profile.
    pub(crate) fn changed(&self, user: &UserId, profile: &Profile, before: u64) {
        let mut cache = self.cache.write();
        if cache.changes != before {
            cache.profiles.swap_remove(user);
        } else if profile.set_at > 0 || cache.profiles.contains_key(user) {
            cache.insert(Arc::clone(user), Arc::new(profile.clone()), self.capacity);
        }
        cache.changes += 1;
    }

    /// Removes the profile of a user that was erased, or that another node has changed.
    pub(crate) fn forget(&self, user: &str) {
        let mut cache = self.cache.write();
        cache.changes += 1;
        cache.profiles.swap_remove(user);
    }

    /// Removes all profiles: the store was restored from a backup, or this node may have missed changes.
    pub(crate) fn clear(&self) {
        let mut cache = self.cache.write();
        cache.changes += 1;
        cache.profiles.clear();
    }

    /// The profiles of these users, from the cache, and from one read of the store for all others.
    ///
    /// # Errors
    /// `unavailable`, `internal`: the store failed.
    pub(crate) async fn of(&self, users: impl IntoIterator<Item = &str>) -> Result<FoundProfiles, ChatError> {
        let (mut found, missing, changes) = self.cached(users);
        if !missing.is_empty() {
            self.read(missing, changes, &mut found).await?;
        }
        Ok(found)
    }

    /// The profile of one user.
    ///
    /// # Errors
    /// `unavailable`, `internal`: the store failed.
    pub(crate) async fn one(&self, user: &str) -> Result<Arc<Profile>, ChatError> {
        let mut found = self.of([user]).await?;
        Ok(found.remove(user).unwrap_or_default())
    }

    /// The profile of one user as the store has it, for the backend: a node that is behind with the log may
    /// have an old one in the cache.
    ///
    /// # Errors
    /// `unavailable`, `internal`: the store failed.
    pub(crate) async fn stored(&self, user: &str) -> Result<Profile, ChatError> {
        let row = self.store.users(&[user.to_owned()]).await?.pop();
        Ok(row.map(Profile::from).unwrap_or_default())
    }

    /// Like [`Self::of`], with the cached profiles only if the store fails: messages without pictures are
    /// better than none.
    pub(crate) async fn of_authors(&self, users: impl IntoIterator<Item = &str>) -> FoundProfiles {
        let (mut found, missing, changes) = self.cached(users);
        if !missing.is_empty()
            && let Err(error) = self.read(missing, changes, &mut found).await
        {
            tracing::warn!(%error, "failed to read profiles");
        }
        found
    }

    /// The cached ones of these users, the others, and the number of changes before.
    fn cached<'a>(&self, users: impl IntoIterator<Item = &'a str>) -> (FoundProfiles, Vec<String>, u64) {
        let users: HashSet<_> = users.into_iter().collect();
        let (mut found, mut missing) = (FoundProfiles::new(), Vec::new());
        let cache = self.cache.read();
        for user in users {
            match cache.profiles.get_key_value(user) {
                Some((user, profile)) => {
                    found.insert(Arc::clone(user), Arc::clone(profile));
                }
                None => missing.push(user.to_owned()),
            }
        }
        (found, missing, cache.changes)
    }

    /// Reads profiles from the store, and caches them if nothing changed meanwhile.
    async fn read(
        &self,
        users: Vec<String>,
        changes: u64,
        found: &mut FoundProfiles,
    ) -> Result<(), ChatError> {
        let mut read = FoundProfiles::with_capacity(users.len());
        for row in self.store.users(&users).await? {
            read.insert(row.user_id.as_str().into(), Arc::new(row.into()));
        }
        let mut cache = self.cache.write();
        if cache.changes == changes {
            for user in users {
                let (user, profile) = read.get_key_value(user.as_str()).map_or_else(
                    || (user.into(), Arc::default()),
                    |(user, profile)| (Arc::clone(user), Arc::clone(profile)),
                );
                cache.insert(user, profile, self.capacity);
            }
        }
        drop(cache);
        found.extend(read);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_that_others_overtook_is_not_cached() {
        let data = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", data.path().join("profiles.db").display());
        let store = roomful_store::open(&url, roomful_store::Options::default()).unwrap();
        let profiles = Profiles::new(&store, 10);
        let user = UserId::from("alice");
        let named = |name: &str| Profile {
            name: Some(name.into()),
            set_at: 1,
            ..Profile::default()
        };
        let before = profiles.changes();
        profiles.changed(&user, &named("Alice"), before);
        assert_eq!(*profiles.get("alice").unwrap(), named("Alice"));
        let before = profiles.changes();
        profiles.forget("alice");
        profiles.changed(&user, &named("Alice"), before);
        assert_eq!(profiles.get("alice"), None, "they are erased");
    }

    #[test]
    fn a_full_cache_evicts_the_oldest_profiles() {
        let mut cache = Cache::default();
        for user in 0..25 {
            cache.insert(user.to_string().into(), Arc::default(), 10);
        }
        let mut left: Vec<u32> = cache
            .profiles
            .keys()
            .filter_map(|user| user.parse().ok())
            .collect();
        left.sort_unstable();
        assert_eq!(left.len(), 10);
        let newest = left.iter().filter(|user| **user >= 20).count();
        assert_eq!(
            newest, 5,
            "the cache holds the profiles of the last insertions: {left:?}"
        );
    }
}
