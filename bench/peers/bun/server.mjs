// Socket.IO on Bun with Socket.IO's own engine for it: `bun server.mjs PORT bare|chat FOLDER`.

import { Server as Engine } from "@socket.io/bun-engine";
import { Database } from "bun:sqlite";
import jwt from "jsonwebtoken";
import { Server } from "socket.io";
import { bare, durable, MessageLog } from "../chat.mjs";

const [port, mode, folder] = process.argv.slice(2);
const io = new Server();
const engine = new Engine({ path: "/socket.io/" });
io.bind(engine);

if (mode === "chat") {
  const secret = process.env.BENCH_SECRET;
  durable(
    io,
    (token) => jwt.verify(token, secret, { algorithms: ["HS256"] }),
    new MessageLog(new Database(`${folder}/chat.db`, { create: true })),
  );
} else {
  bare(io);
}
// bun-engine's manual asks for an idle timeout above the ping interval.
Bun.serve({ port: Number(port), hostname: "127.0.0.1", idleTimeout: 30, ...engine.handler() });
