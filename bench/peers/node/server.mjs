// Socket.IO on Node with its default engine (`ws`, deflate off): `node server.mjs PORT bare|chat FOLDER`.
// BENCH_REDIS makes it a node of a cluster, BENCH_ADAPTER chooses the adapter; BENCH_POSTGRES stores the
// messages.

import { createServer } from "node:http";
import { Server } from "socket.io";
import { bare, durable, MessageLog } from "../chat.mjs";

const [port, mode, folder] = process.argv.slice(2);
const {
  BENCH_SECRET: secret,
  BENCH_REDIS: redis,
  BENCH_ADAPTER: name,
  BENCH_POSTGRES: postgres,
} = process.env;

// Load modules only when the run needs them: a bare run must not fail where SQLite cannot be compiled.
const adapter = redis && (await (await import("./redis.mjs")).adapter(redis, name));
const http = createServer();
const io = new Server(http, {
  transports: ["websocket"],
  perMessageDeflate: false,
  serveClient: false,
  adapter,
});

if (mode === "chat") {
  const { default: jwt } = await import("jsonwebtoken");
  durable(io, (token) => jwt.verify(token, secret, { algorithms: ["HS256"] }), await openLog());
} else {
  bare(io);
}
http.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });

async function openLog() {
  if (postgres) return (await import("./postgres.mjs")).open(postgres);
  const { default: Database } = await import("better-sqlite3");
  return new MessageLog(new Database(`${folder}/chat.db`));
}
