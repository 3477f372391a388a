//! Leases on sinks: one node at a time delivers a sink's records. Each query for due records and each
//! heartbeat of the node renews the lease; the lease of a dead node expires by the database's clock.

use std::time::Duration;

use super::super::{conn::Conn, failure::Failure, value::text};

/// Delivery checks are leased like a sink, under a name that no sink has.
pub(super) const CHECKS: &str = "";

/// Takes or renews the sink's lease for `span` from now. Returns whether this node holds it.
pub(super) async fn take(conn: &Conn, sink: &str, node: i64, span: Duration) -> Result<bool, Failure> {
    const SQL: &str = "INSERT INTO sink_leases AS l (sink, node, until)
        VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))
        ON CONFLICT (sink) DO UPDATE SET node = excluded.node, until = excluded.until
        WHERE l.node = excluded.node OR l.until < clock_timestamp()";
    Ok(conn.run(SQL, &[&text(sink), &node, &span.as_secs_f64()]).await? == 1)
}
