//! Sessions that a dead node still seems to have.

use super::{Database, SERVER};
use crate::{NewSession, Options, Resume, SessionKey, StoreError, contract::Harness as _};

#[tokio::test]
async fn a_session_of_a_dead_node_was_lost_with_it() -> Result<(), StoreError> {
    const ANNS: SessionKey = SessionKey([1; 16]);
    const BOBS: SessionKey = SessionKey([2; 16]);
    let database = Database::new();
    let (dead, other) = (
        database.open(Options::default()),
        database.open(Options::default()),
    );
    for (key, user) in [(ANNS, "ann"), (BOBS, "bob")] {
        let session = NewSession {
            key,
            holder: 1,
            sid: "sid".into(),
            user_id: user.into(),
            at: 10,
        };
        dead.begin_session(session).await?;
    }
    let name = database.0.rsplit('/').next().unwrap_or_default();
    let die = "UPDATE nodes SET ended = true, alive_at = 50 WHERE id IN (SELECT node FROM sessions)";
    SERVER.sql(name, die).unwrap();
    let ask = |key, user: &str, lost_since| Resume {
        key,
        holder: 2,
        user_id: user.into(),
        lost_since,
    };
    assert!(other.resume_session(ask(ANNS, "ann", 50)).await?.is_some());
    assert!(other.resume_session(ask(BOBS, "bob", 51)).await?.is_none());
    // Whom it was given to has it, whatever is known of the node before.
    assert!(other.resume_session(ask(ANNS, "ann", 51)).await?.is_some());
    Ok(())
}
