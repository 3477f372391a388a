//! Random identifiers: Engine.IO session ids, Socket.IO socket ids and private ids. Each has 20 URL-safe
//! characters with 120 random bits. Separate types keep the public socket id apart from the secret ids.

use std::fmt;

use rand::Rng;

pub(crate) const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const LENGTH: usize = 20;

pub(crate) fn random_text<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0u8; LENGTH];
    rand::rng().fill_bytes(&mut bytes);
    bytes.map(|byte| ALPHABET[usize::from(byte & 63)])
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; LENGTH]);

        impl $name {
            pub(crate) fn random() -> Self {
                Self(random_text())
            }

            /// The id as clients see it.
            pub fn as_str(&self) -> &str {
                // Always ASCII: made from the alphabet, or checked by `parse`.
                std::str::from_utf8(&self.0).unwrap_or_default()
            }

            /// Parses an id. `None` if the text does not have the form of an id.
            pub fn parse(text: &str) -> Option<Self> {
                let bytes: [u8; LENGTH] = text.as_bytes().try_into().ok()?;
                bytes.iter().all(|byte| ALPHABET.contains(byte)).then_some(Self(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

id! {
    /// The secret part of an Engine.IO session id; in a cluster it follows the node's tag. Anyone who knows
    /// it can send and receive as this session, so only its own client gets it and no log contains it.
    SessionId
}

id! {
    /// A public Socket.IO socket id: one per connection and namespace.
    SocketId
}

id! {
    /// The private id with which a client recovers its session. With it and a token of the same user,
    /// anyone can read the session's missed events. Only its own client gets it and no log contains it.
    PrivateId
}

impl fmt::Debug for PrivateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateId(secret)")
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(secret)")
    }
}

impl fmt::Debug for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SocketId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_a_round_trip_and_differ() {
        let id = SocketId::random();
        assert_eq!(SocketId::parse(id.as_str()), Some(id));
        assert_ne!(SocketId::random(), id);
    }

    #[test]
    fn invalid_ids_are_refused() {
        for text in [
            "",
            "__proto__",
            "constructor",
            "AAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAA é",
        ] {
            assert_eq!(SessionId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn debug_output_hides_session_ids() {
        let id = SessionId::random();
        assert!(!format!("{id:?}").contains(id.as_str()));
    }
}
