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

    /// Takes over the sources of `key` and of its entries from `other`.
    pub(super) fn adopt(&mut self, key: &str, other: &Origins) {
        let is_of_key = |known: &String| {
            let rest = known.strip_prefix(key);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
        };
        self.0.retain(|known, _| !is_of_key(known));
        let adopted = other.0.iter().filter(|(known, _)| is_of_key(known));
        self.0
            .extend(adopted.map(|(known, origin)| (known.clone(), origin.clone())));
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
