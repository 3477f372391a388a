// Every fault against the real server, seen by the stock Socket.IO client.

import { existsSync } from "node:fs";

import { io, type Socket } from "socket.io-client";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { findBinary, startRoomful, type TestRoomful } from "../src/index.ts";

let roomful: TestRoomful;
beforeAll(async () => {
  roomful = await startRoomful({
    env: { ROOMFUL__SOCKET__PING_INTERVAL: "300ms", ROOMFUL__SOCKET__PING_TIMEOUT: "300ms" },
  });
});
afterAll(() => roomful?.stop());
beforeEach(() => roomful.faults.heal());

/** A socket of `user` that asks for a token at each connection, and reconnects quickly. */
function connect(user: string, token = () => roomful.token(user)): Socket {
  return io(roomful.url, {
    auth: (done) => done({ token: token() }),
    transports: ["websocket"],
    forceNew: true,
    reconnectionDelay: 20,
    reconnectionDelayMax: 50,
    timeout: 2_000,
  });
}

const next = <T>(socket: Socket, event: string) =>
  new Promise<T>((resolve) => socket.once(event, (data: T) => resolve(data)));

const ask = (socket: Socket, event: string, data: object) => socket.timeout(5_000).emitWithAck(event, data);

async function withSocket(user: string, body: (socket: Socket) => Promise<void>): Promise<void> {
  const socket = connect(user);
  try {
    await next(socket, "session");
    await body(socket);
  } finally {
    socket.disconnect();
  }
}

describe("the network", () => {
  test("cut: connections end, and new ones pass", () =>
    withSocket("alice", async (socket) => {
      const again = next(socket, "session");
      roomful.faults.cut();
      expect(await next(socket, "disconnect")).toBe("transport close");
      await again;
    }));

  test("offline: refuses connections until healed", () =>
    withSocket("alice", async (socket) => {
      roomful.faults.offline();
      await next(socket, "disconnect");
      await new Promise((resolve) => socket.io.once("reconnect_error", resolve));
      const again = next(socket, "session");
      await roomful.faults.heal();
      await again;
    }));

  test("half-open: the client finds out by its own timeout", () =>
    withSocket("alice", async (socket) => {
      roomful.faults.halfOpen();
      expect(await next(socket, "disconnect")).toBe("ping timeout");
      const again = next(socket, "session");
      await roomful.faults.heal();
      await again;
    }));

  test("delay: holds back events in both directions, in order", () =>
    withSocket("alice", async (socket) => {
      await ask(socket, "chat:join", { room: "slow" });
      roomful.faults.delay(100);
      const started = performance.now();
      const sends = ["a", "b", "c"].map((text) => ask(socket, "chat:send_message", { room: "slow", text }));
      const answers = await Promise.all(sends);
      expect(performance.now() - started).toBeGreaterThanOrEqual(200);
      expect(answers.map(({ data }) => data.seq)).toEqual([1, 2, 3]);
    }));
});

describe("the server", () => {
  test("unavailable: events and calls of the API say so, and new connections wait", () =>
    withSocket("alice", async (socket) => {
      await roomful.faults.unavailable();
      const answer = await ask(socket, "chat:join", { room: "down" });
      expect(answer).toMatchObject({ ok: false, error: { code: "unavailable", retryable: true } });
      await expect(roomful.api("PUT", "rooms/down", {})).rejects.toThrow(/503.*unavailable/);
      const other = connect("bob");
      await next(other, "connect_error");
      const admitted = next(other, "session");
      await roomful.faults.heal();
      await admitted;
      other.disconnect();
      expect(await ask(socket, "chat:join", { room: "down" })).toMatchObject({ ok: true });
    }));

  test("expireTokens: ends connections, refuses the old token, and accepts a new one", async () => {
    const old = roomful.token("carol");
    const socket = connect("carol");
    await next(socket, "session");
    const ended = next(socket, "session:ended");
    const again = next(socket, "session");
    await roomful.faults.expireTokens();
    expect(await ended).toMatchObject({ code: "token_expired", retryable: true });
    await again;
    socket.disconnect();

    const stale = connect("carol", () => old);
    const refusal = await next<Error & { data: object }>(stale, "connect_error");
    expect(refusal.data).toMatchObject({ code: "token_expired" });
    stale.disconnect();
  });

  test("kill and restart: the data and the address stay", () =>
    withSocket("alice", async (socket) => {
      await ask(socket, "chat:join", { room: "kept" });
      await ask(socket, "chat:send_message", { room: "kept", text: "before the crash" });
      const { url, pid } = roomful;
      await roomful.kill();
      const again = next(socket, "session");
      await roomful.start();
      expect(roomful.url).toBe(url);
      expect(roomful.pid).not.toBe(pid);
      await again;
      await roomful.restart();
      const history = await roomful.api<{ messages: { text: string }[] }>("GET", "rooms/kept/messages");
      expect(history.messages.map(({ text }) => text)).toEqual(["before the crash"]);
    }));

  test("a failed start says why", async () => {
    const started = startRoomful({ env: { ROOMFUL__LIMITS__TEXT: "many" } });
    await expect(started).rejects.toThrow(/ended at its start[^]*limits\.text/);
  });

  test("stop removes the folder", async () => {
    const other = await startRoomful();
    expect(other.command("token", "--user", "dave")).toMatch(/^\S+\.\S+\.\S+\n$/);
    await other.stop();
    expect(existsSync(other.folder)).toBe(false);
  });
});

describe("the binary", () => {
  test("is the given one, or an error", () => {
    expect(findBinary(process.execPath)).toBe(process.execPath);
    expect(() => findBinary("/no/such/roomful")).toThrow(/not an executable/);
  });
});
