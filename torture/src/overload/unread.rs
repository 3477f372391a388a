//! The unread messages that attacks read, imported before the server starts: over the API, a million would
//! take too long.

use std::io::{BufWriter, Write};
use std::path::Path;

use roomful_testkit::token;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use super::attack::Attack;
use super::attacker::{USER, room};
use crate::error::TortureError;

/// The rooms of the hostile user.
pub(super) const ROOMS: usize = 100;

/// A database in a folder of its own, which is removed with the value.
#[derive(Debug)]
pub(super) struct Database(TempDir);

impl Database {
    /// A database with the messages that this attack reads.
    pub(super) async fn prepare(attack: Attack, binary: &Path) -> Result<Self, TortureError> {
        let failed = |error: std::io::Error| TortureError::Overload(format!("failed to import: {error}"));
        let database = Self(TempDir::with_prefix("roomful-overload-").map_err(failed)?);
        let messages = messages_of(attack);
        if messages == 0 {
            return Ok(database);
        }
        let file = database.0.path().join("unread.ndjson");
        std::fs::File::create(&file)
            .and_then(|file| write(&mut BufWriter::new(file), messages))
            .map_err(failed)?;
        let import = Command::new(binary)
            .arg("import")
            .arg(&file)
            .arg("--data")
            .arg(database.0.path())
            .env("ROOMFUL_STORE_URL", database.url())
            .output()
            .await
            .map_err(failed)?;
        if import.status.success() {
            std::fs::remove_file(file).map_err(failed)?;
            return Ok(database);
        }
        let error = String::from_utf8_lossy(&import.stderr);
        Err(TortureError::Overload(format!("failed to import: {error}")))
    }

    /// Its URL for the server.
    pub(super) fn url(&self) -> String {
        format!("sqlite:{}", self.0.path().join("roomful.db").display())
    }
}

/// Unread messages in each room of the hostile user; 0 if the attack needs no rooms.
fn messages_of(attack: Attack) -> usize {
    match attack {
        // As many as a room keeps.
        Attack::Inbox => 10_000,
        Attack::Sync | Attack::Joins | Attack::ExpensiveEvents => 10,
        _ => 0,
    }
}

fn write(file: &mut impl Write, messages: usize) -> std::io::Result<()> {
    let at = token::now() * 1000;
    for n in 0..ROOMS {
        let room = room(n);
        writeln!(file, "{}", json!({ "type": "room", "room": room }))?;
        let member = json!({ "type": "member", "room": room, "userId": USER, "lastRead": null });
        writeln!(file, "{member}")?;
        for id in 0..messages {
            let message = json!({
                "type": "message", "room": room, "id": id.to_string(), "userId": "writer", "text": "unread",
                "at": at,
            });
            writeln!(file, "{message}")?;
        }
    }
    file.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_every_room_with_its_member_and_messages() {
        let mut file = Vec::new();
        write(&mut file, 2).unwrap();
        let text = String::from_utf8(file).unwrap();
        assert_eq!(text.lines().count(), ROOMS * 4);
    }
}
