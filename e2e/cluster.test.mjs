// Three nodes on a real PostgreSQL and a real Redis, behind nginx and HAProxy without stickiness, with the
// stock client. The proxies use the files of deploy/ unchanged. Any request of a session can arrive at any
// node.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";

import { HAProxy, Line, Nginx, Postgres, Redis } from "./lib/backing.mjs";
import { faults } from "./lib/ledger.mjs";
import { LOST, call, done, history, insist, leaveAll, member, stranger } from "./lib/people.mjs";
import { API_KEY, ROOT, Roomful } from "./lib/process.mjs";
import { tokenFor } from "./lib/token.mjs";
import { next, sleep, until, within } from "./lib/waiting.mjs";

const NODES = 3;
/** Characters of a session's id that name its node. */
const TAG = 8;
const WAYS = {
  polling: { transports: ["polling"] },
  upgrade: { transports: ["polling", "websocket"] },
  websocket: { transports: ["websocket"] },
};

let postgres, redis;
/** The proxy between all nodes and PostgreSQL. */
let store;
let nodes = [];
before(async () => {
  [postgres, redis] = await Promise.all([Postgres.start(), Redis.start()]);
  store = await Line.to(postgres.port);
  nodes = await Promise.all(
    Array.from({ length: NODES }, (_, n) =>
      Roomful.start({
        env: {
          ROOMFUL_STORE_URL: postgres.url.replace(postgres.port, store.port),
          ROOMFUL_BUS_URL: redis.url,
          ROOMFUL__CLUSTER__NODE: `node-${n + 1}`,
          ROOMFUL__CLUSTER__LEASE: "3s",
          ROOMFUL__SHUTDOWN__SPREAD: "300ms",
          ROOMFUL__HTTP__TRUSTED_PROXIES: "127.0.0.1/32",
          ROOMFUL_LIMITS: "off",
        },
      }),
    ),
  );
});
afterEach(leaveAll);
after(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  store?.stop();
  await Promise.all([redis?.stop(), postgres?.stop()]);
});

let rooms = 0;
const fresh = () => `cluster-${++rooms}`;

/** The node of a client's session. */
async function owner(socket) {
  const tag = socket.io.engine.id.slice(0, TAG);
  for (const node of nodes) {
    const answer = await fetch(`${node.url}/socket.io/?EIO=4&transport=polling`);
    const { sid } = JSON.parse((await answer.text()).slice(1));
    await fetch(`${node.url}/socket.io/?EIO=4&transport=polling&sid=${sid}`, { method: "POST", body: "1" });
    if (sid.startsWith(tag)) return node;
  }
  throw new Error(`no node has the tag ${tag}`);
}

/** The number of requests of this kind that the nodes have forwarded to each other. */
async function forwarded(kind) {
  const shown = await Promise.all(nodes.map(async ({ url }) => (await fetch(`${url}/metrics`)).text()));
  const counts = shown.map((text) =>
    new RegExp(`^roomful_forwarded_total\\{kind="${kind}"\\} (\\d+)$`, "m").exec(text),
  );
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

/** Connects members of `room` until one satisfies `wanted`, and returns that one. */
function oneWho(wanted, what, proxy, user, room, options) {
  let round = 0;
  return until(async () => {
    const socket = await member(proxy, user, room, options);
    if (await wanted(socket)) return socket;
    socket.disconnect();
    // Shift round robin, or the requests of each connect might always go around exactly once.
    round += 1;
    for (let n = 0; n < round % NODES; n++) await fetch(`${proxy.url}/livez`);
  }, what);
}

/** A member of `room` on another node than `other`. */
function elsewhere(proxy, other, ...who) {
  return oneWho(async (socket) => (await owner(socket)) !== other, "another node's turn", proxy, ...who);
}

async function upgraded(socket) {
  const { engine } = socket.io;
  if (engine.transport.name !== "websocket") await next(engine, "upgrade");
}

/** A member of `room` whose WebSocket is tunnelled through another node. */
async function carried(proxy, ...who) {
  const before = await forwarded("upgrade");
  const throughAnother = async (socket) => {
    await upgraded(socket);
    return (await forwarded("upgrade")) > before;
  };
  return oneWho(throughAnother, "an upgrade that comes to the wrong node", proxy, ...who);
}

/** Checks that a client got every message of its room, in order, once. */
function watch(socket) {
  socket.got = [];
  socket.on("chat:receive_message", ({ seq, text }) => {
    // A recovered session can be in a room although the join's answer was lost; the answer has the earlier
    // messages.
    if (!socket.behind) socket.got.push({ seq, text });
  });
}

/** Waits until a client has all acknowledged messages, and compares them with the ledger, text -> seq. */
async function sees(socket, ledger) {
  const head = ledger.size;
  const stands = () => {
    const { connected, active, recovered, behind, got } = socket;
    return JSON.stringify({
      connected,
      active,
      recovered,
      behind,
      seen: got.at(-1),
      transport: socket.io.engine?.transport?.name,
    });
  };
  await until(
    () => socket.got.at(-1)?.seq >= head,
    () => `message ${head} by a client that is ${stands()}`,
  );
  assert.deepEqual(faults(socket.got, ledger), []);
}

/** Compares each client that was there from the start, and the log on each node, with the ledger. */
async function allAgree(people, room, ledger) {
  // This message comes after everything in transit, so any repeat has arrived by then.
  ledger.set("the last one", (await insist(people[0], room, "the last one")).seq);
  await Promise.all(people.map((one) => sees(one, ledger)));
  for (const node of nodes) {
    const reader = await member(node, "reader", room);
    assert.equal(reader.joined.head, ledger.size);
    assert.deepEqual(faults(await history(reader, room), ledger), []);
  }
}

/** Posts over the HTTP API of this node and adds the message to the ledger. */
async function post(node, room, text, ledger) {
  const headers = { authorization: `Bearer ${API_KEY}`, "content-type": "application/json" };
  const body = JSON.stringify({ userId: "backend", text });
  const answer = await fetch(`${node.url}/api/v1/rooms/${room}/messages`, {
    method: "POST",
    headers,
    body,
  });
  const said = await answer.text();
  assert.equal(answer.status, 201, said);
  ledger.set(text, JSON.parse(said).seq);
}

/** Joins again with `since`, as a client does whose session is not recovered. */
async function catchUp(socket, room) {
  socket.behind = true;
  while (socket.connected && socket.behind) {
    const ask = { room, since: socket.got.at(-1)?.seq ?? 0, limit: 200 };
    await new Promise((resolve) => {
      // In the callback: events right behind the answer would arrive before an awaiting caller continues.
      socket.timeout(2000).emit("chat:join", ask, (error, answer) => {
        // If the connection breaks again, the next one retries.
        if (error) assert.match(error.message, LOST);
        else if (!answer.ok) assert.equal(answer.error.retryable, true, JSON.stringify(answer));
        else {
          assert.equal(answer.data.more, false);
          socket.got.push(...answer.data.messages.map(({ seq, text }) => ({ seq, text })));
          socket.behind = false;
        }
        resolve();
      });
    });
  }
}

/** Waits until a lost client is back; true if its session was recovered. */
async function back(socket, lost) {
  await lost;
  if (!socket.connected) await next(socket, "connect");
  return socket.recovered;
}

for (const [name, start] of Object.entries({
  nginx: () =>
    Nginx.start(
      "nginx/roomful.conf",
      nodes.map(({ listen }) => listen),
    ),
  HAProxy: () =>
    HAProxy.start(
      "haproxy/roomful.cfg",
      nodes.map(({ listen }) => listen),
    ),
})) {
  describe(`behind ${name} without stickiness`, () => {
    let proxy;
    before(async () => {
      proxy = await start();
      // Wait for its first health check of each node.
      await until(async () => (await fetch(`${proxy.url}/livez`)).ok, `${name} to find a node`);
    });
    after(() => proxy?.stop());

    for (const [way, options] of Object.entries(WAYS)) {
      test(`two people chat through different nodes, over ${way}`, async () => {
        const EACH = 60;
        const room = fresh();
        const alice = await member(proxy, "alice", room, options);
        const bob = await elsewhere(proxy, await owner(alice), "bob", room, options);
        const people = [alice, bob];
        if (way === "upgrade") {
          // Before carol connects, or the count could include her requests.
          await Promise.all(people.map(upgraded));
          people.push(await carried(proxy, "carol", room, options));
        }
        for (const one of people)
          assert.equal(one.io.engine.transport.name, way === "polling" ? "polling" : "websocket");
        people.forEach(watch);
        const ledger = new Map();
        const say = async (socket) => {
          for (let n = 0; n < EACH; n += 10) {
            const some = Array.from({ length: 10 }, (_, i) => `${socket.session.userId} ${n + i}`);
            const acks = await Promise.all(
              some.map((text) => done(socket, "chat:send_message", { room, text })),
            );
            acks.forEach(({ seq }, i) => ledger.set(some[i], seq));
          }
        };
        const counts = () => Promise.all(["poll", "post"].map(forwarded));
        const before = await counts();
        await Promise.all(people.map(say));
        await Promise.all(people.map((one) => sees(one, ledger)));
        if (way === "polling") {
          const after = await counts();
          assert.ok(
            after.every((count, i) => count > before[i]),
            `no request went over a wrong node: ${before}, then ${after}`,
          );
        }
      });

      test(`a client whose node gets kill -9 misses nothing, over ${way}`, async (t) => {
        const room = fresh();
        const alice = await member(proxy, "alice", room, options);
        const alive = await owner(alice);
        const bob = await elsewhere(proxy, alive, "bob", room, options);
        const dying = await owner(bob);
        watch(alice);
        watch(bob);
        const ledger = new Map();
        await post(alive, room, "before", ledger);
        await Promise.all([sees(alice, ledger), sees(bob, ledger)]);
        const lost = next(bob, "disconnect");
        await dying.end("SIGKILL");
        await post(alive, room, "missed", ledger);
        const recovered = await back(bob, lost);
        t.diagnostic(`recovered: ${recovered}`);
        if (!recovered) await catchUp(bob, room);
        await sees(bob, ledger);
        // One of her polls may have been at the killed node, so she may have reconnected, too.
        ledger.set("after", (await insist(alice, room, "after")).seq);
        await Promise.all([sees(alice, ledger), sees(bob, ledger)]);
        await dying.restart();
        await allAgree([alice, bob], room, ledger);
      });
    }

    /** Runs `act` while clients of all transports listen. */
    async function crowd(room, count) {
      const kinds = Object.values(WAYS);
      return Promise.all(
        Array.from({ length: count }, async (_, n) => {
          const socket = await member(proxy, `user-${n}`, room, kinds[n % kinds.length]);
          watch(socket);
          socket.on("connect", () => {
            if (!socket.recovered || socket.behind) void catchUp(socket, room);
          });
          return socket;
        }),
      );
    }

    test("polls through a killed node, and polls beside them, lose nothing", async () => {
      const room = fresh();
      const people = await crowd(room, 12);
      const [alive, dying] = nodes;
      const ledger = new Map();
      for (let n = 1; n <= 60; n++) {
        await post(alive, room, `${n}`, ledger);
        if (n === 20) await dying.end("SIGKILL");
      }
      await Promise.all(people.map((one) => sees(one, ledger)));
      await dying.restart();
      await allAgree(people, room, ledger);
    });

    test("without PostgreSQL, connected clients stay, and new ones get in once it is back", async () => {
      const room = fresh();
      const kinds = Object.entries(WAYS);
      const people = await Promise.all(kinds.map(([way, options]) => member(proxy, way, room, options)));
      const losses = [];
      for (const one of people) one.on("disconnect", (why) => losses.push(`${one.session.userId}: ${why}`));
      people.forEach(watch);
      const cut = await member(proxy, "cut", room, WAYS.websocket);
      const readiness = () =>
        Promise.all(nodes.map(async ({ url }) => (await fetch(`${url}/readyz`)).status));
      // What a join does after its answer needs the store, and later events of its client wait for it.
      await Promise.all(people.map((one) => done(one, "chat:typing_stop", { room })));
      store.cut();
      try {
        await until(
          async () => (await readiness()).every((status) => status === 503),
          "all nodes to say that they are not ready",
        );
        if (name === "HAProxy")
          await until(async () => (await fetch(`${proxy.url}/livez`)).status === 503, "HAProxy to notice");
        cut.io.engine.close();
        const late = kinds.map(([way, options]) =>
          stranger(proxy, { token: tokenFor(`late-${way}`) }, options),
        );
        await Promise.all(late.map((one) => next(one, "connect_error")));
        for (const one of people) {
          const typing = await call(one, "chat:typing_start", { room });
          assert.ok(typing.ok, JSON.stringify(typing));
        }
        store.mend();
        await Promise.all([...late, cut].map((one) => one.connected || next(one, "connect")));
        assert.equal(cut.recovered, true, "a connection that is lost meanwhile is recovered afterwards");
      } finally {
        store.mend();
        // A failure here is not to be one of the tests that follow.
        await until(
          async () => (await readiness()).every((status) => status === 200),
          "all nodes to be ready again",
        );
      }
      await allAgree(people, room, new Map());
      assert.deepEqual(losses, []);
    });

    test("a rolling restart loses and repeats nothing", async (t) => {
      const room = fresh();
      const people = await crowd(room, 9);
      const ledger = new Map();
      let retried = 0;
      let over = false;
      const talk = async (socket) => {
        for (let n = 0; !over; n++) {
          const text = `${socket.session.userId} ${n}`;
          const { seq, duplicate } = await insist(socket, room, text);
          ledger.set(text, seq);
          if (duplicate) retried += 1;
          await sleep(20);
        }
      };
      const talking = people.slice(0, 3).map(talk);
      for (const node of nodes) {
        const { code } = await node.end("SIGTERM");
        assert.equal(code, 0, node.log());
        await node.restart();
      }
      over = true;
      await Promise.all(talking);
      t.diagnostic(`${ledger.size} messages; ${retried} were sent again though they had been stored`);
      await allAgree(people, room, ledger);
    });
  });
}

/** The HTTP status of a handshake from this local address with these headers. */
function handshake(proxy, localAddress, headers = {}) {
  const answer = new Promise((resolve, reject) => {
    const asked = request(
      `${proxy.url}/socket.io/?EIO=4&transport=polling`,
      { localAddress, headers, agent: false },
      (response) => {
        response.resume().on("end", () => resolve(response.statusCode));
      },
    );
    asked.on("error", reject).end();
  });
  return within(answer, "the answer to a handshake");
}

describe("the client's address", () => {
  let server;
  before(async () => {
    server = await Roomful.start({
      env: { ROOMFUL__HTTP__TRUSTED_PROXIES: "127.0.0.1/32", ROOMFUL__LIMITS__CONNECTIONS_PER_IP: "1" },
    });
  });
  after(() => server?.stop());

  // Each proxy has its own client address: 127.0.0.x and 127.0.0.x+1 are both this machine.
  for (const [name, start, own] of [
    ["nginx", () => Nginx.start("nginx/roomful.conf", [server.listen]), 10],
    ["nginx, sticky", () => Nginx.start("nginx/roomful-sticky.conf", [server.listen]), 20],
    ["HAProxy", () => HAProxy.start("haproxy/roomful.cfg", [server.listen]), 30],
    ["HAProxy, sticky", () => HAProxy.start("haproxy/roomful-sticky.cfg", [server.listen]), 40],
  ]) {
    test(`comes from ${name}, not from the client`, async () => {
      const proxy = await start();
      try {
        await until(async () => (await fetch(`${proxy.url}/livez`)).ok, `${name} to find the node`);
        const address = (n) => `127.0.0.${own + n}`;
        assert.equal(await handshake(proxy, address(0)), 200);
        assert.notEqual(await handshake(proxy, address(0)), 200, "its second connection is one too many");
        assert.notEqual(await handshake(proxy, address(0), { "X-Forwarded-For": address(2) }), 200);
        assert.equal(await handshake(proxy, address(1)), 200);
        assert.equal((await fetch(`${proxy.url}/metrics`)).status, 404);
      } finally {
        await proxy.stop();
      }
    });
  }
});

for (const [name, start] of Object.entries({
  nginx: () =>
    Nginx.start(
      "nginx/roomful-sticky.conf",
      nodes.map(({ listen }) => listen),
    ),
  HAProxy: () =>
    HAProxy.start(
      "haproxy/roomful-sticky.cfg",
      nodes.map(({ listen }) => listen),
    ),
})) {
  test(`clients behind ${name} with stickiness work alike`, async () => {
    const proxy = await start();
    try {
      await until(async () => (await fetch(`${proxy.url}/livez`)).ok, `${name} to find a node`);
      const room = fresh();
      const people = [];
      for (const [way, options] of Object.entries(WAYS))
        people.push(await member(proxy, way, room, options));
      people.forEach(watch);
      const ledger = new Map();
      for (const [n, one] of people.entries()) {
        ledger.set(`${n}`, (await done(one, "chat:send_message", { room, text: `${n}` })).seq);
      }
      await Promise.all(people.map((one) => sees(one, ledger)));
    } finally {
      leaveAll();
      await proxy.stop();
    }
  });
}

test("dashboard and alerts use metrics that a node has", async () => {
  const shown = await (await fetch(`${nodes[0].url}/metrics`)).text();
  const names = new Set(shown.split("\n").map((line) => /^[a-z_]+/.exec(line)?.[0]));
  for (const path of ["grafana/roomful.json", "prometheus/alerts.yaml"]) {
    const text = readFileSync(join(ROOT, "deploy", path), "utf8");
    // Metric names in expressions: before a selector, a range or an operator; JSON escapes the quotes.
    const asked = text.match(/\b(?:roomful|process)_[a-z_]+\b(?=[{[ ])/g) ?? [];
    assert.ok(asked.length > 5, path);
    // These nodes have no webhooks, hooks and issuers. Tests in crates/server check their metrics.
    const expected = asked.filter((name) => !/^roomful_(webhooks|hook|auth)_/.test(name));
    for (const name of expected) assert.ok(names.has(name), `${path}: ${name} is not shown`);
  }
});
