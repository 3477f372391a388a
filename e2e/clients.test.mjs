// The client matrix: stock Socket.IO clients in several languages against the real binary, over each
// transport.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { CLIENTS, Client } from "./lib/clients.mjs";
import { API_KEY, Roomful } from "./lib/process.mjs";
import { tokenFor } from "./lib/token.mjs";

/** Milliseconds within which every client has to be back after the server is ready again. */
const BACK = 5_000;

const TRANSPORTS = ["websocket", "polling", "upgrade"];
/** A killed server looks the same over each transport, so `make test` kills it over one. */
const KILLED = process.env.ALL_CLIENTS ? TRANSPORTS : ["websocket"];

const SERVER = {
  ROOMFUL__SHUTDOWN__SPREAD: "200ms",
  ROOMFUL__SOCKET__PING_INTERVAL: "2s",
  ROOMFUL__SOCKET__PING_TIMEOUT: "2s",
};

let rooms = 0;

for (const { name, command, missing, build, recovers = false, givesUp = [] } of CLIENTS) {
  const absent = missing?.();
  describe(`the ${name} client`, { skip: absent ? `needs ${absent}` : false }, () => {
    let server;
    const running = new Set();
    before(async () => {
      build?.();
      server = await Roomful.start({ env: SERVER });
    });
    afterEach(() => {
      for (const client of running) client.stop();
      running.clear();
    });
    after(() => server?.stop());

    function start(transport, token) {
      const client = new Client(command, server.url, token, transport);
      running.add(client);
      return client;
    }

    /** A connected client that has joined a new room. */
    async function join(transport, user) {
      const client = start(transport, tokenFor(user));
      await client.next("connect");
      const room = `matrix-${++rooms}`;
      client.room = room;
      client.page = await client.done("chat:join", { room });
      return client;
    }

    const send = (client, text) =>
      client.done("chat:send_message", { room: client.room, text, clientId: text });

    const received = async (client, text) => {
      const { data } = await client.next(
        "event",
        ({ name: event, data }) => event === "chat:receive_message" && data.text === text,
      );
      return data;
    };

    /** Posts over the HTTP API, so that no second client is needed. */
    async function post(room, text) {
      const answer = await fetch(`${server.url}/api/v1/rooms/${room}/messages`, {
        method: "POST",
        headers: { authorization: `Bearer ${API_KEY}`, "content-type": "application/json" },
        body: JSON.stringify({ userId: "backend", text, clientId: text }),
      });
      assert.equal(answer.status, 201, await answer.text());
    }

    /** After the server is ready again: waits for the client, lets it catch up, and checks its log. */
    async function back(client, expected) {
      const { recovered } = await client.next("connect", () => true, BACK);
      if (recovered) {
        for (const text of expected) await received(client, text);
      } else {
        const {
          rooms: [page],
        } = await client.done("chat:sync", {
          rooms: [{ room: client.room, epoch: client.page.epoch, since: client.page.head }],
        });
        const texts = page.messages.map(({ text }) => text);
        assert.deepEqual(
          texts.filter((text) => expected.includes(text)),
          expected,
        );
      }
      assert.equal(recovered, recovers, "recovered");
      await send(client, `after-${client.room}`);
      await received(client, `after-${client.room}`);
    }

    const stops = (transport) =>
      givesUp.includes(transport) && "the library stops after one refused attempt to reconnect";

    for (const transport of TRANSPORTS) {
      test(`connects, sends and receives over ${transport}`, async () => {
        const client = await join(transport, "alice");
        const { seq } = await send(client, "hello");
        assert.equal((await received(client, "hello")).seq, seq);
        await post(client.room, "from the backend");
        assert.equal((await received(client, "from the backend")).seq, seq + 1);
      });

      test(
        `is back within 5 s after kill -9 over ${transport}`,
        { skip: !KILLED.includes(transport) || stops(transport) },
        async () => {
          const client = await join(transport, "bob");
          await send(client, "before");
          await received(client, "before");
          client.page.head = 1;
          await server.end("SIGKILL");
          await server.restart();
          await post(client.room, "missed");
          await back(client, ["missed"]);
        },
      );

      test(`is back within 5 s after a drain over ${transport}`, { skip: stops(transport) }, async () => {
        const client = await join(transport, "carol");
        await send(client, "before");
        await received(client, "before");
        client.page.head = 1;
        const { code } = await server.end("SIGTERM");
        assert.equal(code, 0);
        await server.restart();
        await post(client.room, "missed");
        await back(client, ["missed"]);
      });
    }

    test("sees why the server refuses its token", async () => {
      const client = start("websocket", "no token");
      const { data } = await client.next("refused");
      assert.match(JSON.stringify(data), /unauthorized/);
    });
  });
}
