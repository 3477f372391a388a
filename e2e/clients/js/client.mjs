// The stock socket.io-client for JavaScript as a program of the client matrix (see ../README.md).

import { createInterface } from "node:readline";

import { io } from "socket.io-client";

const [url, token, transport] = process.argv.slice(2);
const transports = transport === "upgrade" ? ["polling", "websocket"] : [transport];
const socket = io(url, {
  auth: { token },
  transports,
  reconnectionDelay: 100,
  reconnectionDelayMax: 1_000,
});
const print = (line) => console.log(JSON.stringify(line));

socket.on("connect", () => print({ kind: "connect", recovered: socket.recovered }));
socket.on("disconnect", (reason) => print({ kind: "disconnect", reason }));
socket.on("connect_error", (error) => {
  if (!socket.active) print({ kind: "refused", data: error.data ?? error.message });
});
socket.onAny((name, data) => print({ kind: "event", name, data }));

const input = createInterface({ input: process.stdin });
input.on("line", (line) => {
  const { id, event, payload } = JSON.parse(line);
  socket.emit(event, payload, (data) => print({ kind: "ack", id, data }));
});
input.on("close", () => process.exit(0));
