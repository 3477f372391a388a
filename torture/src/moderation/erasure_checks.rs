//! The places in which an erased user must not be: the log, the answers of the API, and the stored data.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use roomful_testkit::PostgresServer;
use roomful_testkit::history::Name;
use serde_json::Value;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use super::laws::erasure::check_place;
use super::mark::{Mark, marks_in};
use super::shared::Shared;
use super::violation::Violation;
use super::{REST, Storage};
use crate::answer::number;
use crate::error::TortureError;
use crate::run::RECOVERY;

/// The largest file that the server rewrites after an erasure: the default of `store.compact_up_to`.
const COMPACTED: u64 = 256 << 20;

/// Checks entries of the log.
pub(super) fn check_log(shared: &Shared, entries: &[Value]) {
    let marks = entries.iter().map(|entry| marks_in(entry.to_string().as_bytes()));
    let marks = marks.flatten().collect();
    check(shared, "the room's log", &marks);
}

fn check(shared: &Shared, place: &str, marks: &BTreeSet<Mark>) {
    let found = check_place(&place.into(), marks, &shared.erased.lock());
    shared.violate(found);
}

/// Checks what the API knows of an erased user.
pub(super) async fn check_calls(shared: &Shared, rng: &mut StdRng, case: u32) -> Option<()> {
    let user = Mark::user(case);
    let path = format!("/users/{user}");
    let deadline = Instant::now() + RECOVERY / 2;
    loop {
        let shown = shared
            .call_for(rng, ("GET", &path), &Value::Null, &[200, 404])
            .await?;
        if shown.status == 404 {
            break;
        }
        // The answer repeats the id of the question.
        let mut marks = marks_in(shown.text.as_bytes());
        marks.remove(&user);
        check(shared, "GET /users/{user}", &marks);
        // The user may show as online until the grace of presence is over.
        if Instant::now() > deadline {
            known(shared, case, "GET /users/{user}", &shown.text);
            break;
        }
        sleep(10 * REST).await;
    }
    let path = format!("/users/{user}/export");
    let export = shared.call_for(rng, ("GET", &path), &Value::Null, &[200]).await?;
    if !export.text.is_empty() {
        known(shared, case, "GET /users/{user}/export", &export.text);
    }
    Some(())
}

fn known(shared: &Shared, case: u32, call: &str, answer: &str) {
    let (call, answer) = (call.into(), answer.chars().take(500).collect::<String>().into());
    shared.violate([Violation::Known { case, call, answer }]);
}

/// Checks the newest pages of the audit log.
pub(super) async fn check_audit(shared: &Shared, rng: &mut StdRng, pages: usize) -> Option<()> {
    let mut before = String::new();
    for _ in 0..pages {
        let path = format!("/audit?limit=200{before}");
        let page = shared.call_for(rng, ("GET", &path), &Value::Null, &[200]).await?;
        check(shared, "the audit log", &marks_in(page.text.as_bytes()));
        let page = page.json();
        if page["more"] != true {
            break;
        }
        before = format!("&before={}", number(&page["records"][0]["id"]));
    }
    Some(())
}

impl Storage<'_> {
    /// Searches the stored data until no erased user is in it, or until a deadline.
    pub(super) async fn check(&self, shared: &Shared) -> Result<(), TortureError> {
        if self.is_too_large() {
            return Ok(());
        }
        let deadline = Instant::now() + RECOVERY / 2;
        loop {
            let found = block_in_place(|| self.search(shared))?;
            if found.is_empty() || Instant::now() > deadline {
                shared.violate(found);
                shared.count(|report| report.searched = true);
                return Ok(());
            }
            // The server empties the write-ahead log with a delay, and there is no event for that.
            sleep(10 * REST).await;
        }
    }

    fn is_too_large(&self) -> bool {
        match self {
            Self::Folder(folder) => {
                let file = fs::metadata(folder.join("roomful.db"));
                file.is_ok_and(|file| file.len() > COMPACTED)
            }
            Self::Database { .. } => false,
        }
    }

    fn search(&self, shared: &Shared) -> Result<Vec<Violation>, TortureError> {
        let places = match self {
            Self::Folder(folder) => files(folder)
                .into_iter()
                .map(|file| {
                    let name = file.file_name().unwrap_or_default().to_string_lossy();
                    // The write-ahead log may be removed meanwhile.
                    let bytes = fs::read(&file).unwrap_or_default();
                    (Name::from(format!("the file {name}")), marks_in(&bytes))
                })
                .collect(),
            Self::Database { postgres, name } => tables(postgres, name)?,
        };
        let erased = shared.erased.lock();
        let found = places
            .iter()
            .flat_map(|(place, marks)| check_place(place, marks, &erased));
        Ok(found.map(|violation| self.explain(violation)).collect())
    }

    /// Adds the row to the place of a violation.
    fn explain(&self, violation: Violation) -> Violation {
        match (self, violation) {
            (Self::Database { postgres, name }, Violation::NotErased { place, mark }) => {
                let table = place.rsplit(' ').next().unwrap_or_default();
                let select =
                    format!("SELECT row::text FROM {table} row WHERE row::text LIKE '%{mark}%' LIMIT 1");
                // The row may go meanwhile.
                let row = postgres.sql(name, &select).unwrap_or_default();
                let place = format!("{place}, in the row {}", row.trim()).into();
                Violation::NotErased { place, mark }
            }
            (_, violation) => violation,
        }
    }
}

/// All files in a folder and its folders.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let paths = entries.filter_map(|entry| io::Result::ok(entry).map(|entry| entry.path()));
    paths
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}

/// The marks in each table.
fn tables(
    postgres: &PostgresServer,
    database: &str,
) -> Result<Vec<(Name, BTreeSet<Mark>)>, roomful_testkit::Error> {
    let names = postgres.sql(
        database,
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'",
    )?;
    let tables = names.split_whitespace().map(|table| {
        let marks = postgres.sql(
            database,
            &format!(
                "SELECT DISTINCT mark[1] FROM {table} row,
                 regexp_matches(row::text, 'court-(?:user|name|word)-[0-9]{{5}}', 'g') mark"
            ),
        )?;
        Ok((format!("the table {table}").into(), marks_in(marks.as_bytes())))
    });
    tables.collect()
}
