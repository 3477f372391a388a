// The handlers of the Socket.IO peers, shared by Node and Bun: rooms, messages, and in durable runs a token
// at connect and a message on disk before its ack. The SQLite driver and the transport differ; they are in
// the peers' own folders.

const HISTORY = 50;

// Bare fan-out: no token, no store, no ack.
export function bare(io) {
  io.on("connection", (socket) => {
    socket.on("chat:join", ({ room }, ack) => {
      socket.join(room);
      ack({ ok: true });
    });
    socket.on("chat:send_message", (message) => {
      io.to(message.room).emit("chat:receive_message", message);
    });
  });
}

// Durable chat. `verify(token)` returns the claims or throws; `log` is a `MessageLog`, or an asynchronous
// equivalent.
export function durable(io, verify, log) {
  io.use((socket, next) => {
    try {
      socket.data.user = verify(socket.handshake.auth.token).sub;
      next();
    } catch {
      next(new Error("unauthorized"));
    }
  });
  io.on("connection", (socket) => {
    socket.on("chat:join", async ({ room }, ack) => {
      socket.join(room);
      ack({ ok: true, data: { room, head: await log.head(room), messages: await log.last(room, HISTORY) } });
    });
    socket.on("chat:send_message", async ({ room, text, clientId }, ack) => {
      const { message, duplicate } = await log.append(room, socket.data.user, clientId, text, Date.now());
      if (!duplicate) io.to(room).emit("chat:receive_message", message);
      ack?.({ ok: true, data: { id: message.id, room, seq: message.seq, at: message.at, duplicate } });
    });
  });
}

// Messages in SQLite: numbered per room, unique by (room, user, clientId). `db` is a better-sqlite3 or a
// bun:sqlite database; both have `prepare`, `get`, `all` and `run`.
export class MessageLog {
  #heads = new Map();

  constructor(db) {
    db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
    db.exec(`CREATE TABLE IF NOT EXISTS messages (
      room TEXT NOT NULL, seq INTEGER NOT NULL, user TEXT NOT NULL, client_id TEXT, text TEXT NOT NULL,
      at INTEGER NOT NULL,
      PRIMARY KEY (room, seq)) WITHOUT ROWID;
      CREATE UNIQUE INDEX IF NOT EXISTS once ON messages (room, user, client_id);`);
    this.insert = db.prepare(
      `INSERT INTO messages (room, seq, user, client_id, text, at) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT DO NOTHING`,
    );
    this.known = db.prepare("SELECT * FROM messages WHERE room = ? AND user = ? AND client_id = ?");
    this.latest = db.prepare("SELECT * FROM messages WHERE room = ? ORDER BY seq DESC LIMIT ?");
    this.maximum = db.prepare("SELECT max(seq) AS head FROM messages WHERE room = ?");
  }

  head(room) {
    let head = this.#heads.get(room);
    if (head === undefined) {
      head = this.maximum.get(room)?.head ?? 0;
      this.#heads.set(room, head);
    }
    return head;
  }

  append(room, user, clientId, text, at) {
    const seq = this.head(room) + 1;
    if (this.insert.run(room, seq, user, clientId ?? null, text, at).changes === 0) {
      return { message: shown(this.known.get(room, user, clientId)), duplicate: true };
    }
    this.#heads.set(room, seq);
    return { message: shown({ room, seq, user, client_id: clientId, text, at }), duplicate: false };
  }

  last(room, count) {
    return this.latest.all(room, count).reverse().map(shown);
  }
}

// A row as clients see it.
export function shown({ room, seq, user, client_id: clientId, text, at }) {
  return { id: `${room}:${seq}`, room, seq, userId: user, text, at, clientId };
}
