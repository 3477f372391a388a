// Engine.IO 4 against the raw echo of the conformance example, with the stock engine.io-client, and by hand
// for requests that a stock client never sends. Settings: pingInterval 300, pingTimeout 200, maxPayload
// 1,000,000.

import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, describe, test } from "node:test";
import { gunzipSync } from "node:zlib";

import { Socket } from "engine.io-client";
import { WebSocket } from "ws";

import { Conformance } from "./lib/process.mjs";
import { next, sleep, until, within } from "./lib/waiting.mjs";

let server;
before(async () => {
  server = await Conformance.start();
});
after(() => server?.stop());

async function open(transports, options = {}) {
  const socket = new Socket(server.url, {
    path: "/engine.io/",
    transports,
    upgrade: transports.length > 1,
    ...options,
  });
  socket.binaryType = "nodebuffer";
  await next(socket, "open");
  return socket;
}

async function close(socket) {
  const closed = next(socket, "close");
  socket.close();
  await closed;
}

/** Collects `count` messages. */
function messages(socket, count) {
  const seen = [];
  return within(
    new Promise((resolve) => {
      socket.on("message", function listener(data) {
        seen.push(data);
        if (seen.length === count) {
          socket.off("message", listener);
          resolve(seen);
        }
      });
    }),
    `${count} messages`,
  );
}

for (const transport of ["polling", "websocket"]) {
  describe(`stock client over ${transport}`, () => {
    test("the server echoes text in any script", async () => {
      const socket = await open([transport]);
      const sent = ["hello", "grüße", "日本語", "👩‍🚀 \u0000 \u001f", "4\n2", "b64?"];
      const back = messages(socket, sent.length);
      for (const text of sent) socket.send(text);
      assert.deepEqual(await back, sent);
      assert.equal(socket.transport.name, transport);
      await close(socket);
    });

    test("the server echoes binary byte for byte, between texts", async () => {
      const socket = await open([transport]);
      const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
      const back = messages(socket, 4);
      socket.send("before");
      socket.send(bytes);
      socket.send(Buffer.alloc(0));
      socket.send("after");
      const [before, whole, empty, after] = await back;
      assert.deepEqual([before, after], ["before", "after"]);
      assert.ok(Buffer.isBuffer(whole) && Buffer.isBuffer(empty));
      assert.deepEqual([...whole], [...bytes]);
      assert.equal(empty.length, 0);
      await close(socket);
    });

    test("the server echoes half a megabyte, as text and as binary", async () => {
      const socket = await open([transport]);
      const text = "é".repeat(250_000);
      const binary = Buffer.alloc(500_000, 0xa5);
      const back = messages(socket, 2);
      socket.send(text);
      socket.send(binary);
      const [first, second] = await back;
      assert.ok(first === text, "the text differs");
      assert.ok(binary.equals(second), "the bytes differ");
      await close(socket);
    });

    test("a thousand messages keep their order", async () => {
      const socket = await open([transport]);
      const sent = Array.from({ length: 1000 }, (_, i) => `message ${i}`);
      const back = messages(socket, sent.length);
      for (const text of sent) socket.send(text);
      assert.deepEqual(await back, sent);
      await close(socket);
    });

    test("heartbeats keep a silent connection alive", async () => {
      const socket = await open([transport]);
      let closed = false;
      socket.on("close", () => (closed = true));
      for (let i = 0; i < 4; i++) await next(socket, "ping", undefined, 2000);
      assert.equal(closed, false);
      const back = messages(socket, 1);
      socket.send("still here");
      assert.deepEqual(await back, ["still here"]);
      await close(socket);
    });

    test("a payload over maxPayload ends the session, and only that one", async () => {
      const bystander = await open([transport]);
      const socket = await open([transport]);
      const closed = next(socket, "close");
      // The stock client splits polling payloads at maxPayload; a single packet over it cannot be split.
      socket.send("x".repeat(1_000_001));
      await closed;
      const back = messages(bystander, 1);
      bystander.send("unharmed");
      assert.deepEqual(await back, ["unharmed"]);
      await close(bystander);
    });
  });
}

describe("upgrade", () => {
  test("the stock client upgrades to WebSocket without lost, duplicated or reordered messages", async () => {
    for (let round = 0; round < 5; round++) {
      const socket = await open(["polling", "websocket"]);
      const upgraded = next(socket, "upgrade");
      const sent = [];
      const total = 300;
      const back = messages(socket, total);
      // Keep sending, so that some messages are in transit whenever the switch happens.
      while (sent.length < total) {
        sent.push(`m${sent.length}`);
        socket.send(sent.at(-1));
        if (sent.length % 10 === 0) await new Promise(setImmediate);
      }
      assert.deepEqual(await back, sent);
      await upgraded;
      assert.equal(socket.transport.name, "websocket");
      await close(socket);
    }
  });

  test("after an upgrade, polling with the sid is refused and a second WebSocket is closed", async () => {
    const { sid } = await handshake();
    const ws = await webSocket(`&sid=${sid}`);
    ws.send("2probe");
    assert.equal(await frame(ws), "3probe");
    ws.send("5");
    ws.send("4x");
    assert.equal(await frame(ws), "4x");
    assert.equal((await poll(sid)).status, 400);
    const second = new WebSocket(address(`&sid=${sid}`));
    await next(second, "close");
    ws.send("4still here");
    assert.equal(await frame(ws), "4still here");
    ws.close();
  });

  test("the probe releases a parked poll", async () => {
    const { sid } = await handshake();
    const parked = poll(sid);
    const ws = await webSocket(`&sid=${sid}`);
    ws.send("2probe");
    assert.equal(await frame(ws), "3probe");
    // A heartbeat may precede the noop that ends the poll; both answer the same poll.
    const { text } = await parked;
    assert.ok(["6", "2"].includes(text), text);
    ws.send("5");
    ws.send("4done");
    assert.equal(await frame(ws, (text) => text !== "2"), "4done");
    ws.close();
  });
});

describe("by hand", () => {
  test("the handshake has all fields", async () => {
    const { sid, ...rest } = await handshake();
    assert.ok(typeof sid === "string" && sid.length >= 20, "a sid must not be guessable");
    assert.deepEqual(rest, {
      upgrades: ["websocket"],
      pingInterval: 300,
      pingTimeout: 200,
      maxPayload: 1_000_000,
    });
    const ws = new WebSocket(address());
    const first = await frame(ws);
    assert.equal(first[0], "0");
    const { sid: other, ...direct } = JSON.parse(first.slice(1));
    assert.notEqual(other, sid);
    assert.deepEqual(direct, { upgrades: [], pingInterval: 300, pingTimeout: 200, maxPayload: 1_000_000 });
    ws.close();
  });

  for (const [name, method, query, code] of [
    ["an unknown transport", "GET", "?EIO=4&transport=abc", 0],
    ["a missing transport", "GET", "?EIO=4", 0],
    ["a transport named like a property of every object", "GET", "?EIO=4&transport=constructor", 0],
    ["an unknown sid", "GET", "?EIO=4&transport=polling&sid=abc", 1],
    ["an unknown sid on POST", "POST", "?EIO=4&transport=polling&sid=abc", 1],
    ["a sid named like a property of every object", "GET", "?EIO=4&transport=polling&sid=__proto__", 1],
    ["a handshake by POST", "POST", "?EIO=4&transport=polling", 2],
    ["a handshake by PUT", "PUT", "?EIO=4&transport=polling", 2],
    ["a WebSocket handshake without an upgrade", "GET", "?EIO=4&transport=websocket", 3],
    ["an old protocol version", "GET", "?EIO=3&transport=polling", 5],
    ["no protocol version", "GET", "?transport=polling", 5],
    ["a future protocol version", "GET", "?EIO=5&transport=polling", 5],
  ]) {
    test(`${name} is answered 400 with code ${code}`, async () => {
      const answer = await fetch(`${server.url}/engine.io/${query}`, { method });
      assert.equal(answer.status, 400);
      const body = await answer.json();
      assert.equal(body.code, code, JSON.stringify(body));
      assert.equal(typeof body.message, "string");
    });
  }

  test("a refused WebSocket upgrade is a plain HTTP answer", async () => {
    for (const query of [
      "?EIO=4&transport=abc",
      "?EIO=3&transport=websocket",
      "?EIO=4&transport=websocket&sid=abc",
    ]) {
      const ws = new WebSocket(`${server.url.replace("http", "ws")}/engine.io/${query}`);
      const [, answer] = await next(ws, "unexpected-response");
      assert.equal(answer.statusCode, 400, query);
      // Closing a WebSocket that never opened emits an error event, too.
      ws.on("error", () => {});
      ws.terminate();
    }
  });

  test("one payload carries several packets, both ways", async () => {
    const { sid } = await handshake();
    const answer = await post(sid, "4one\x1e4two\x1ebAQID\x1e4three");
    assert.deepEqual([answer.status, await answer.text()], [200, "ok"]);
    assert.match(answer.headers.get("content-type"), /^text\/html/);
    assert.equal((await poll(sid)).text, "4one\x1e4two\x1ebAQID\x1e4three");
  });

  test("polling answers are not cacheable", async () => {
    const answer = await fetch(`${server.url}/engine.io/?EIO=4&transport=polling`);
    assert.match(answer.headers.get("cache-control"), /no-store/);
    assert.match(answer.headers.get("content-type"), /^text\/plain; ?charset=utf-8/i);
  });

  test("a large polling answer is compressed if the client accepts that, a small one is not", async () => {
    const { sid } = await handshake();
    await post(sid, `4${"repetition ".repeat(1000)}`);
    const large = await rawPoll(sid, "gzip");
    assert.equal(large.headers["content-encoding"], "gzip");
    assert.ok(large.body.length < 1000);
    assert.equal(gunzipSync(large.body).toString(), `4${"repetition ".repeat(1000)}`);
    await post(sid, "4small");
    const small = await rawPoll(sid, "gzip");
    assert.equal(small.headers["content-encoding"], undefined);
    assert.equal(small.body.toString(), "4small");
    await post(sid, `4${"repetition ".repeat(1000)}`);
    const plain = await rawPoll(sid, "identity");
    assert.equal(plain.headers["content-encoding"], undefined);
    assert.equal(plain.body.toString(), `4${"repetition ".repeat(1000)}`);
  });

  for (const [name, body] of [
    ["a packet type that does not exist", "abc"],
    ["a type out of range", "9"],
    ["a binary packet that is not base64", "b!!!"],
    ["a ping, which only a server sends", "2"],
  ]) {
    test(`${name} in a POST ends the session`, async () => {
      const { sid } = await handshake();
      await (await post(sid, body)).text();
      // Well before the ping timeout, which would end it anyway.
      await until(async () => (await poll(sid)).status === 400, "the session to be over", 250);
    });
  }

  test("an octet-stream body is refused", async () => {
    const { sid } = await handshake();
    const answer = await post(sid, "4x", "application/octet-stream");
    assert.equal(answer.status, 400);
  });

  test("a body over maxPayload is answered 413", async () => {
    const { sid } = await handshake();
    const answer = await post(sid, `4${"x".repeat(1_000_001)}`);
    assert.equal(answer.status, 413);
  });

  test("two polls at once end the session", async () => {
    const { sid } = await handshake();
    const first = poll(sid);
    await sleep(5);
    const second = await poll(sid);
    assert.equal(second.status, 400);
    const { status, text } = await first;
    assert.deepEqual([status, text], [200, "1"]);
    assert.equal((await poll(sid)).status, 400);
  });

  test("an aborted poll ends the session", async () => {
    const { sid } = await handshake();
    const abort = new AbortController();
    const parked = fetch(polling(sid), { signal: abort.signal });
    await sleep(20);
    abort.abort();
    await assert.rejects(parked, { name: "AbortError" });
    await until(async () => (await poll(sid)).status === 400, "the session to be over", 250);
  });

  test("a close packet ends the session and releases the poll with a noop", async () => {
    const { sid } = await handshake();
    const parked = poll(sid);
    await sleep(5);
    await (await post(sid, "1")).text();
    const { status, text } = await parked;
    assert.deepEqual([status, text], [200, "6"]);
    assert.equal((await poll(sid)).status, 400);
  });

  test("a close packet over WebSocket ends the connection", async () => {
    const ws = await directWebSocket();
    ws.send("1");
    await next(ws, "close");
  });

  test("the first heartbeat comes after pingInterval, not at once", async () => {
    const ws = await directWebSocket();
    const opened = performance.now();
    assert.equal(await frame(ws), "2");
    const took = performance.now() - opened;
    assert.ok(took > 200 && took < 900, `${took} ms`);
    ws.send("3");
    assert.equal(await frame(ws), "2");
    ws.close();
  });

  test("silence longer than the ping timeout ends a session on either transport", async () => {
    const { sid } = await handshake();
    const ws = await directWebSocket();
    const closed = next(ws, "close");
    // Twice the ping interval and timeout: a poll that waits when the session ends would be cut.
    await sleep(1_000);
    assert.equal((await poll(sid)).status, 400);
    await closed;
  });

  for (const bad of ["abc", "", "2", "9x"]) {
    test(`the WebSocket text ${JSON.stringify(bad)} ends the connection`, async () => {
      const ws = await directWebSocket();
      ws.send(bad);
      await next(ws, "close", undefined, 250);
    });
  }

  test("a WebSocket message over the limit is closed with 1009", async () => {
    const ws = await directWebSocket();
    ws.send(`4${"x".repeat(1_000_001)}`);
    const [code] = await next(ws, "close");
    assert.equal(code, 1009);
  });
});

function polling(sid) {
  return `${server.url}/engine.io/?EIO=4&transport=polling&sid=${sid}`;
}

function address(more = "") {
  return `${server.url.replace("http", "ws")}/engine.io/?EIO=4&transport=websocket${more}`;
}

async function handshake() {
  const answer = await fetch(`${server.url}/engine.io/?EIO=4&transport=polling`);
  assert.equal(answer.status, 200);
  const text = await answer.text();
  assert.equal(text[0], "0");
  return JSON.parse(text.slice(1));
}

async function poll(sid) {
  const answer = await fetch(polling(sid));
  return { status: answer.status, text: await answer.text() };
}

function post(sid, body, type = "text/plain;charset=UTF-8") {
  return fetch(polling(sid), { method: "POST", body, headers: { "content-type": type } });
}

/** A poll with its raw body: fetch would decompress it. */
function rawPoll(sid, encoding) {
  return new Promise((resolve, reject) => {
    const sent = request(polling(sid), { headers: { "accept-encoding": encoding } }, (answer) => {
      const chunks = [];
      answer.on("data", (chunk) => chunks.push(chunk));
      answer.on("end", () => resolve({ headers: answer.headers, body: Buffer.concat(chunks) }));
    });
    sent.on("error", reject).end();
  });
}

/** Opens a WebSocket and queues its frames, so that none is missed between two waits. */
async function webSocket(more = "") {
  const ws = new WebSocket(address(more));
  keep(ws);
  await next(ws, "open");
  return ws;
}

async function directWebSocket() {
  const ws = await webSocket();
  assert.equal((await frame(ws))[0], "0");
  return ws;
}

function keep(ws) {
  ws.kept = [];
  ws.on("message", (data) => ws.kept.push(data.toString()));
}

/** The next text frame that satisfies `wanted`. */
async function frame(ws, wanted = () => true) {
  if (!ws.kept) keep(ws);
  const at = () => ws.kept.findIndex((text) => wanted(text));
  if (at() < 0) await next(ws, "message", () => at() >= 0);
  return ws.kept.splice(at(), 1)[0];
}
