// Socket.IO on Node with its default engine (`ws`, deflate off): `node server.mjs PORT bare|chat FOLDER`.

import { createServer } from "node:http";
import { Server } from "socket.io";
import { bare, durable, MessageLog } from "../chat.mjs";

const [port, mode, folder] = process.argv.slice(2);
const http = createServer();
const io = new Server(http, { transports: ["websocket"], perMessageDeflate: false, serveClient: false });

if (mode === "chat") {
  // Loaded here, since a bare run must not fail where there is no compiler for it.
  const { default: Database } = await import("better-sqlite3");
  const { default: jwt } = await import("jsonwebtoken");
  const secret = process.env.BENCH_SECRET;
  durable(
    io,
    (token) => jwt.verify(token, secret, { algorithms: ["HS256"] }),
    new MessageLog(new Database(`${folder}/chat.db`)),
  );
} else {
  bare(io);
}
http.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });
