//! What a user shows as to others, as nodes tell each other.

use std::sync::Arc;

use roomful_store::ChosenStatus;
use serde::{Deserialize, Serialize};

/// A user's name and chosen status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shown {
    pub(crate) name: Option<Arc<str>>,
    #[serde(with = "status")]
    pub(crate) status: ChosenStatus,
    pub(crate) text: Option<Arc<str>>,
}

mod status {
    use roomful_store::ChosenStatus;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const NAMES: [(ChosenStatus, &str); 4] = [
        (ChosenStatus::Online, "online"),
        (ChosenStatus::Away, "away"),
        (ChosenStatus::Busy, "busy"),
        (ChosenStatus::Invisible, "invisible"),
    ];

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde wants")]
    pub(super) fn serialize<S: Serializer>(status: &ChosenStatus, serializer: S) -> Result<S::Ok, S::Error> {
        let name = NAMES.iter().find(|(known, _)| known == status);
        serializer.serialize_str(name.map_or("online", |(_, name)| name))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ChosenStatus, D::Error> {
        let name = String::deserialize(deserializer)?;
        let known = NAMES.iter().find(|(_, known)| *known == name);
        known
            .map(|(status, _)| *status)
            .ok_or_else(|| D::Error::custom("unknown status"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_can_be_encoded_and_decoded() {
        for status in [
            ChosenStatus::Online,
            ChosenStatus::Away,
            ChosenStatus::Busy,
            ChosenStatus::Invisible,
        ] {
            let shown = Shown {
                name: None,
                status,
                text: Some("lunch".into()),
            };
            let json = serde_json::to_string(&shown).unwrap();
            assert_eq!(serde_json::from_str::<Shown>(&json).unwrap(), shown);
        }
    }
}
