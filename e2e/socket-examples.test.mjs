// The examples of roomful-socket, each driven by the stock client as its first lines promise.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { io } from "socket.io-client";

import { accepts, freePort, Redis } from "./lib/backing.mjs";
import { binary, Program } from "./lib/process.mjs";
import { next, until } from "./lib/waiting.mjs";

/** A running example. */
class Example extends Program {
  static async start(name, ...args) {
    const program = new Example();
    const port = await freePort();
    program.url = `http://127.0.0.1:${port}`;
    program.launch(binary("EXAMPLE_BIN", `examples/${name}`), [`127.0.0.1:${port}`, ...args]);
    await program.ready(() => accepts(port), `port ${port} of the example ${name}`);
    return program;
  }
}

const clients = [];
afterEach(() => clients.splice(0).forEach((client) => client.disconnect()));

function client(url, options) {
  const socket = io(url, { forceNew: true, reconnection: false, ...options });
  clients.push(socket);
  return socket;
}

async function connected(url, options) {
  const socket = client(url, options);
  await next(socket, "connect");
  return socket;
}

/** Runs `tests` with a server that is started before them; `server()` gives it. */
function example(name, tests) {
  describe(name, () => {
    let server;
    before(async () => {
      server = await Example.start(name);
    });
    after(() => server?.stop());
    tests(() => server);
  });
}

const ask = (socket, ...args) => socket.timeout(5000).emitWithAck(...args);

example("hello", (server) => {
  test("greets, and passes messages on to the others", async () => {
    const first = client(server().url);
    const [id] = await next(first, "hello");
    assert.equal(id, first.id);
    const second = await connected(server().url);
    const heard = next(first, "message");
    second.emit("message", "grüße");
    assert.deepEqual(await heard, ["grüße"]);
  });
});

example("axum_app", (server) => {
  test("a route sends an event to all clients", async () => {
    const sockets = [await connected(server().url), await connected(server().url)];
    const heard = sockets.map((socket) => next(socket, "announcement"));
    const answer = await fetch(`${server().url}/announce`, { method: "POST", body: "hi" });
    assert.equal(await answer.text(), "2\n");
    assert.deepEqual(await Promise.all(heard), [["hi"], ["hi"]]);
  });
});

example("authentication", (server) => {
  test("a token lets its user in", async () => {
    const socket = await connected(server().url, { auth: { token: "token-of-ann" } });
    assert.equal(await ask(socket, "who am i"), "ann");
  });

  test("a wrong or missing token gets a connect_error with data", async () => {
    for (const auth of [{ token: "token-of-eve" }, {}, undefined]) {
      const [error] = await next(client(server().url, { auth }), "connect_error");
      assert.equal(error.message, "unauthorized");
      assert.deepEqual(error.data, { hint: "sign in again" });
    }
  });
});

example("rooms", (server) => {
  test("members of a room hear each other, and who leaves", async () => {
    const [ann, bob, eve] = await Promise.all([1, 2, 3].map(() => connected(server().url)));
    assert.equal(await ask(ann, "join", "kitchen"), true);
    const joined = next(ann, "joined");
    assert.equal(await ask(bob, "join", "kitchen"), true);
    assert.deepEqual(await joined, [{ room: "kitchen", who: bob.id }]);
    const said = next(ann, "said");
    eve.emit("say", "kitchen", "let me in");
    bob.emit("say", "kitchen", "hello");
    assert.deepEqual(await said, [bob.id, "hello"]);
    const left = next(ann, "left");
    const who = bob.id;
    bob.disconnect();
    assert.deepEqual(await left, [{ room: "kitchen", who, reason: "client namespace disconnect" }]);
  });
});

example("acks", (server) => {
  test("the server answers and asks", async () => {
    const socket = await connected(server().url);
    assert.equal(await ask(socket, "sum", 1, 2, 3.5), 6.5);
    assert.equal(await ask(socket, "sum"), 0);
    socket.on("your name?", (why, answer) => answer("Ann"));
    const hello = next(socket, "hello");
    socket.emit("greet");
    assert.deepEqual(await hello, ["Ann"]);
  });

  test("a broadcast collects the answers of all others", async () => {
    const [asker, ...others] = await Promise.all([1, 2, 3].map(() => connected(server().url)));
    others.forEach((socket, index) => socket.on("vote", (question, answer) => answer(index === 0)));
    const answers = await new Promise((resolve) => asker.emit("vote", "tea?", (...args) => resolve(args)));
    assert.deepEqual(answers, [1, 2]);
  });
});

example("binary", (server) => {
  test("buffers travel in events and acks, at any depth", async () => {
    const socket = await connected(server().url);
    const content = Buffer.from([1, 2, 3]);
    const reversed = await ask(socket, "reverse", { name: "cat", content });
    assert.deepEqual(reversed, { name: "cat", content: Buffer.from([3, 2, 1]) });
    socket.on("pictures", (small, [large], answer) => {
      answer(small.content.length + large.content.length, small.content);
    });
    const thanks = next(socket, "thanks");
    socket.emit("download");
    assert.deepEqual(await thanks, [1010, Buffer.alloc(10, 7)]);
  });
});

example("dynamic_namespaces", (server) => {
  test("tenants have namespaces of their own", async () => {
    const seven = client(`${server().url}/tenant-7`);
    assert.deepEqual(await next(seven, "tenant"), ["/tenant-7"]);
    const eight = await connected(`${server().url}/tenant-8`);
    const heard = [next(seven, "note"), next(eight, "note")];
    seven.emit("note", "to 7", 1);
    eight.emit("note", "to 8", 2);
    assert.deepEqual(await Promise.all(heard), [
      ["to 7", 1],
      ["to 8", 2],
    ]);
    const [error] = await next(client(`${server().url}/tenant-x`), "connect_error");
    assert.equal(error.message, "Invalid namespace");
  });
});

example("tls", (server) => {
  for (const transport of ["polling", "websocket"]) {
    test(`clients connect over TLS by ${transport}`, async () => {
      const url = server().url.replace("http://127.0.0.1", "https://localhost");
      const socket = await connected(url, { transports: [transport], rejectUnauthorized: false });
      assert.equal(await ask(socket, "secure?"), true);
    });
  }
});

describe("cluster_redis", () => {
  let redis;
  const nodes = [];
  before(async () => {
    redis = await Redis.start();
    for (let n = 0; n < 2; n++) nodes.push(await Example.start("cluster_redis", redis.url));
  });
  after(async () => {
    await Promise.all(nodes.map((node) => node.stop()));
    await redis?.stop();
  });

  test("a room spans the nodes", async () => {
    const sockets = [await connected(nodes[0].url), await connected(nodes[1].url)];
    // Each node asks those that have reported themselves.
    await until(async () => (await ask(sockets[0], "how many")) === 2, "both nodes in the cluster");
    // The bus confirms a subscription later than the join.
    const heard = next(sockets[1], "said");
    const saying = setInterval(() => sockets[0].emit("say", "hello", 1), 50);
    assert.deepEqual(await heard, ["hello", 1]);
    clearInterval(saying);
  });
});
