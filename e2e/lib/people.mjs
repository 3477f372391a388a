// Chat users: a stock socket.io-client with a token, and the calls that most tests make.

import assert from "node:assert/strict";

import { io } from "socket.io-client";

import { checkAck, checkEvent } from "./contract.mjs";
import { tokenFor } from "./token.mjs";
import { PATIENCE, next, within } from "./waiting.mjs";

const connected = new Set();

/** Emits an event and resolves to its ack: `{ok, data}` or `{ok, error}`. */
export async function call(socket, event, ...args) {
  const answer = new Promise((resolve) => socket.emit(event, ...args, resolve));
  const ack = await within(answer, `the ack of ${event}`);
  checkAck(event, ack);
  return ack;
}

/** Like `call`, but resolves to the data and fails on an error. */
export async function done(socket, event, ...args) {
  const { ok, data, error } = await call(socket, event, ...args);
  if (!ok) throw new Error(`${event} was answered ${JSON.stringify(error)}`);
  return data;
}

/** The client's error messages for a missing ack. */
export const LOST = /timed out|disconnected/;

/**
 * Sends one message, under one clientId, until it is acknowledged over any connection; resolves to the
 * ack's data.
 */
export async function insist(socket, room, text) {
  for (;;) {
    try {
      const { ok, data, error } = await socket
        .timeout(2000)
        .emitWithAck("chat:send_message", { room, text, clientId: text });
      if (ok) return data;
      assert.equal(error.retryable, true, JSON.stringify(error));
    } catch (error) {
      if (!LOST.test(error.message)) throw error;
    }
  }
}

/** All messages of a room that `socket` has joined. */
export async function history(socket, room) {
  const all = [];
  for (;;) {
    const page = await done(socket, "chat:get_history", { room, after: all.at(-1)?.seq ?? 0, limit: 200 });
    all.push(...page.messages);
    if (!page.more) return all;
  }
}

/** A client that starts to connect; `leaveAll` ends it. */
export function stranger(server, auth, options = {}) {
  const fast = { reconnectionDelay: 30, reconnectionDelayMax: 100 };
  const socket = io(server.url, { forceNew: true, transports: ["websocket"], ...fast, auth, ...options });
  connected.add(socket);
  // Keep all events, so that a test can look for earlier ones.
  socket.seen = [];
  socket.onAny((event, payload) => {
    checkEvent(event, payload);
    socket.seen.push({ event, payload });
  });
  return socket;
}

/** A connected, authenticated client. */
export async function person(server, user, { claims, ...options } = {}) {
  const socket = stranger(server, { token: tokenFor(user, claims) }, options);
  const session = next(socket, "session");
  const refused = new Promise((_, reject) => socket.once("connect_error", reject));
  await Promise.race([session, refused]);
  socket.session = (await session)[0];
  return socket;
}

/** A connected client that has joined `room`. */
export async function member(server, user, room, options) {
  const socket = await person(server, user, options);
  socket.joined = await done(socket, "chat:join", { room });
  return socket;
}

/**
 * Removes the first `event` that satisfies `wanted`, received or still to come, and resolves to its
 * payload.
 */
export async function heard(socket, event, wanted = () => true, patience = PATIENCE) {
  const at = () => socket.seen.findIndex((one) => one.event === event && wanted(one.payload));
  if (at() < 0) {
    await within(
      new Promise((resolve) => {
        const look = () => {
          if (at() < 0) return;
          socket.offAny(look);
          resolve();
        };
        socket.onAny(look);
      }),
      `the event ${event}; seen: ${JSON.stringify(socket.seen.slice(-5))}`,
      patience,
    );
  }
  return socket.seen.splice(at(), 1)[0].payload;
}

/** Disconnects all clients. */
export function leaveAll() {
  for (const socket of connected) socket.disconnect();
  connected.clear();
}
