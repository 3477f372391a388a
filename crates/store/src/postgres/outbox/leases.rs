//! Which node tells a sink its records: one at a time. A lease is made longer by each asking, and by the node's beat; when its
//! node is dead it ends by itself, by the database's clock.

use std::time::Duration;

use super::super::{conn::Conn, failure::Failure, value::text};

/// The looks at who has not got a message are leased like a sink, under a name that no sink has.
pub(super) const LOOKS: &str = "";

/// Whether the sink is this node's, for `span` from now on.
pub(super) async fn take(conn: &Conn, sink: &str, node: i64, span: Duration) -> Result<bool, Failure> {
    const SQL: &str = "INSERT INTO sink_leases AS l (sink, node, until)
        VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))
        ON CONFLICT (sink) DO UPDATE SET node = excluded.node, until = excluded.until
        WHERE l.node = excluded.node OR l.until < clock_timestamp()";
    Ok(conn.run(SQL, &[&text(sink), &node, &span.as_secs_f64()]).await? == 1)
}
