// The client matrix: stock Socket.IO clients in several languages against the real binary, over each
// transport.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { Line, Postgres, Redis } from "./lib/backing.mjs";
import { CLIENTS, Client } from "./lib/clients.mjs";
import { API_KEY, Roomful } from "./lib/process.mjs";
import { tokenFor } from "./lib/token.mjs";
import { until } from "./lib/waiting.mjs";

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

/** A message that fills the buffers of a client that does not read. */
const LARGE = "x".repeat(15_000);
/** So many of them fill the kernel's buffers, which hold up to 10 MB, and the outbox several times over. */
const ENOUGH = 4_000;

let rooms = 0;

/** PostgreSQL, Redis and the proxy in front of Redis, for the servers that have a lease. */
let cluster;
after(async () => {
  cluster?.redis.stop();
  await Promise.all([cluster?.bus.stop(), cluster?.postgres.stop()]);
});

/** A server in a cluster of its own, which loses its lease without Redis. */
async function startWithLease() {
  if (!cluster) {
    const [postgres, bus] = await Promise.all([Postgres.start(), Redis.start()]);
    cluster = { postgres, bus, redis: await Line.to(new URL(bus.url).port) };
  }
  return Roomful.start({
    env: {
      ROOMFUL_STORE_URL: cluster.postgres.url,
      ROOMFUL_BUS_URL: `redis://127.0.0.1:${cluster.redis.port}`,
      ROOMFUL__CLUSTER__LEASE: "2s",
      // A client that is stopped for long must not end by its missing pong: the test wants the full outbox.
      ROOMFUL__SOCKET__PING_TIMEOUT: "5m",
    },
  });
}

/** How many clients the server has closed because they read too slowly. */
const slowEnds = (server) => server.log().split("slow_consumer").length - 1;

const isReady = async (server) => (await fetch(`${server.url}/readyz`)).ok;

for (const { name, command, missing, build, recovers = false, givesUp = [], silent = [] } of CLIENTS) {
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
        body: JSON.stringify({ userId: "backend", text, clientId: text.slice(0, 64) }),
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

    /** Waits until the client is back, and lets it go on in its room. */
    async function goesOn(client) {
      await client.next("connect", () => true, BACK);
      await client.done("chat:join", { room: client.room });
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

    describe("on a server with a lease", () => {
      before(async () => {
        await server.stop();
        server = await startWithLease();
      });

      for (const transport of TRANSPORTS) {
        const skip = silent.includes(transport) && "the library sends nothing after such an end";
        test(`is back within 5 s after it read too slowly over ${transport}`, { skip }, async () => {
          const client = await join(transport, "dave");
          client.freeze();
          const before = slowEnds(server);
          for (let n = 0; slowEnds(server) === before; n += 8) {
            assert.ok(n < ENOUGH, `the server kept a client that read none of ${n} messages`);
            const some = Array.from({ length: 8 }, (_, i) => post(client.room, `${n + i} ${LARGE}`));
            await Promise.all(some);
          }
          client.thaw();
          await goesOn(client);
        });

        test(
          `is back within 5 s after the node lost its lease over ${transport}`,
          { skip: skip || stops(transport) },
          async () => {
            const client = await join(transport, "erin");
            cluster.redis.cut();
            await client.next("disconnect");
            assert.ok(!(await isReady(server)), "without a lease the node is not ready");
            cluster.redis.mend();
            await until(() => isReady(server), "the node to have a lease again");
            await goesOn(client);
          },
        );
      }
    });

    test("sees why the server refuses its token", async () => {
      const client = start("websocket", "no token");
      const { data } = await client.next("refused");
      assert.match(JSON.stringify(data), /unauthorized/);
    });
  });
}
