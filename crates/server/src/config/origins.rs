//! Map from each key to the source that set it.

use std::collections::BTreeMap;

use super::error::Origin;

/// The source of each key that is not a default.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origins(BTreeMap<String, Origin>);

impl Origins {
    /// Records that `origin` set `key`, replacing an earlier source.
    pub(super) fn set(&mut self, key: &str, origin: Origin) {
        self.0.insert(key.to_owned(), origin);
    }

    /// Source of `key` itself; `None` if it has its default.
    pub(super) fn of_exactly(&self, key: &str) -> Option<&Origin> {
        self.0.get(key)
    }

    /// Source of `key`, or of the nearest table around it.
    pub(crate) fn of(&self, key: &str) -> Origin {
        let mut key = key;
        loop {
            if let Some(origin) = self.0.get(key) {
                return origin.clone();
            }
            match key.rfind(['.', '[']) {
                Some(end) => key = key.get(..end).unwrap_or_default(),
                None => return Origin::Default,
            }
        }
    }
}
