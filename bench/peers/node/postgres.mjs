// Messages in PostgreSQL, for several nodes: numbered by the database, unique by (room, user, clientId).
// One prepared INSERT per message on a pooled connection, each in its own transaction.

import pg from "pg";
import { shown } from "../chat.mjs";

const SCHEMA = `CREATE TABLE IF NOT EXISTS messages (
  room text NOT NULL, seq bigint GENERATED ALWAYS AS IDENTITY, "user" text NOT NULL, client_id text,
  text text NOT NULL, at bigint NOT NULL, PRIMARY KEY (room, seq), UNIQUE (room, "user", client_id))`;

// Numbers of rooms, users and times fit into a double.
pg.types.setTypeParser(pg.types.builtins.INT8, Number);

export async function open(url) {
  const pool = new pg.Pool({ connectionString: url });
  await pool.query(SCHEMA);
  return new PostgresLog(pool);
}

class PostgresLog {
  constructor(pool) {
    this.rows = async (name, text, values) => (await pool.query({ name, text, values })).rows;
  }

  async head(room) {
    const [{ head }] = await this.rows(
      "head",
      "SELECT coalesce(max(seq), 0) AS head FROM messages WHERE room = $1",
      [room],
    );
    return head;
  }

  async append(room, user, clientId, text, at) {
    const [row] = await this.rows(
      "append",
      `INSERT INTO messages (room, "user", client_id, text, at) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT DO NOTHING RETURNING seq`,
      [room, user, clientId ?? null, text, at],
    );
    if (row)
      return {
        message: shown({ room, seq: row.seq, user, client_id: clientId, text, at }),
        duplicate: false,
      };
    const [known] = await this.rows(
      "known",
      `SELECT * FROM messages WHERE room = $1 AND "user" = $2 AND client_id = $3`,
      [room, user, clientId],
    );
    return { message: shown(known), duplicate: true };
  }

  async last(room, count) {
    const rows = await this.rows(
      "last",
      "SELECT * FROM messages WHERE room = $1 ORDER BY seq DESC LIMIT $2",
      [room, count],
    );
    return rows.reverse().map(shown);
  }
}
