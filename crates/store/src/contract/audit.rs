//! The audit log: records in their order, by actor and action, and by age.

use super::{Harness, Outcome};
use crate::{AuditPage, AuditRecord, Options, Store, StoreError};

fn record(at: i64, actor: &str, action: &str) -> AuditRecord {
    AuditRecord {
        at,
        actor: actor.into(),
        action: action.into(),
        room: Some("a \u{0}".into()),
        user_id: None,
        status: 201,
        before: None,
        after: Some("{}".into()),
    }
}

async fn times(store: &dyn Store, page: AuditPage) -> Result<Vec<i64>, StoreError> {
    let found = store.audit(page).await?;
    Ok(found.iter().map(|entry| entry.record.at).collect())
}

fn all(limit: u32) -> AuditPage {
    AuditPage {
        limit,
        ..AuditPage::default()
    }
}

pub async fn audit_records_are_paged_both_ways_and_filtered(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    for (at, actor, action) in [(1, "key:a", "PUT"), (2, "key:b", "PUT"), (3, "key:a", "DELETE")] {
        store.record_audit(record(at, actor, action)).await?;
    }
    store.close().await;
    let store = harness.open(Options::default());
    let entries = store.audit(all(9)).await?;
    let records: Vec<_> = entries.iter().map(|entry| entry.record.clone()).collect();
    let expected = [
        record(3, "key:a", "DELETE"),
        record(2, "key:b", "PUT"),
        record(1, "key:a", "PUT"),
    ];
    assert_eq!(records, expected);
    let ids: Vec<i64> = entries.iter().map(|entry| entry.id).collect();
    assert!(ids.is_sorted_by(|newer, older| newer > older), "{ids:?}");
    let (newest, oldest) = (ids.first().copied(), ids.last().copied());
    assert_eq!(times(&*store, all(1)).await?, [3]);
    let older = AuditPage {
        before: newest,
        ..all(1)
    };
    assert_eq!(times(&*store, older).await?, [2]);
    let newer = AuditPage {
        after: oldest,
        ..all(1)
    };
    assert_eq!(times(&*store, newer).await?, [2]);
    let newer = AuditPage {
        after: oldest,
        ..all(9)
    };
    assert_eq!(times(&*store, newer).await?, [2, 3]);
    let between = AuditPage {
        after: oldest,
        before: newest,
        ..all(9)
    };
    assert_eq!(times(&*store, between).await?, [2]);
    let of = |actor: &str| AuditPage {
        actor: Some(actor.into()),
        ..all(9)
    };
    assert_eq!(times(&*store, of("key:a")).await?, [3, 1]);
    assert_eq!(times(&*store, of("key:c")).await?, [0; 0]);
    let puts = AuditPage {
        action: Some("PUT".into()),
        ..all(9)
    };
    assert_eq!(times(&*store, puts.clone()).await?, [2, 1]);
    let both = AuditPage {
        actor: Some("key:a".into()),
        ..puts
    };
    assert_eq!(times(&*store, both).await?, [1]);
    Ok(())
}

pub async fn old_audit_records_are_removed(harness: &dyn Harness) -> Outcome {
    let store = harness.open(Options::default());
    // More than one commit deletes.
    let old = (0..1_001).map(|at| store.record_audit(record(at, "key:a", "PUT")));
    futures_util::future::try_join_all(old).await?;
    store.record_audit(record(2_000, "key:a", "PUT")).await?;
    assert_eq!(store.trim_audit(1_000, 3_000).await?, 1_001);
    assert_eq!(times(&*store, all(9)).await?, [2_000]);
    assert_eq!(store.trim_audit(1_000, 3_000).await?, 0);
    Ok(())
}
