// Socket.IO 5 against the conformance example, with the stock socket.io-client over each transport, and by
// hand for packets it never sends. Namespaces "/" and "/custom" emit "auth", echo "message" and acknowledge
// "message-with-ack".

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { io, Manager } from "socket.io-client";
import { WebSocket } from "ws";

import { Conformance } from "./lib/process.mjs";
import { next, sleep, until, within } from "./lib/waiting.mjs";

let server;
before(async () => {
  server = await Conformance.start();
});
after(() => server?.stop());

const WAYS = {
  polling: { transports: ["polling"] },
  websocket: { transports: ["websocket"] },
  "polling, then an upgrade": { transports: ["polling", "websocket"] },
};

function client(options, namespace = "/") {
  return io(`${server.url}${namespace}`, { forceNew: true, reconnection: false, ...options });
}

/** A connected client and its first `auth` event. */
async function greeted(options, namespace) {
  const socket = client(options, namespace);
  const auth = next(socket, "auth");
  await next(socket, "connect");
  return { socket, auth: (await auth)[0] };
}

for (const [way, options] of Object.entries(WAYS)) {
  describe(`stock client over ${way}`, () => {
    test("connects to / and to /custom, with and without auth", async () => {
      for (const namespace of ["/", "/custom"]) {
        const without = await greeted(options, namespace);
        assert.deepEqual(without.auth, {});
        const auth = { token: "grüße", nested: { list: [1, null, "x"] } };
        const given = await greeted({ ...options, auth }, namespace);
        assert.deepEqual(given.auth, auth);
        assert.notEqual(without.socket.id, given.socket.id);
        without.socket.disconnect();
        given.socket.disconnect();
      }
    });

    test("an unknown namespace is refused, and the connection stays", async () => {
      const manager = new Manager(server.url, { ...options, reconnection: false });
      const good = manager.socket("/");
      await next(good, "connect");
      const bad = manager.socket("/random");
      const [error] = await next(bad, "connect_error");
      assert.equal(error.message, "Invalid namespace");
      assert.deepEqual(await good.timeout(5000).emitWithAck("message-with-ack", "on"), "on");
      good.disconnect();
    });

    test("the server echoes arguments of every type", async () => {
      const { socket } = await greeted(options);
      for (const args of [
        [],
        [1, "2", { 3: [true, null] }, -0.5, ""],
        ["👩‍🚀", "\u2028\u0000", '"quotes"'],
        [Buffer.from([1, 2, 3])],
        [{ a: [Buffer.from([1]), { b: Buffer.alloc(0) }] }, "between", Buffer.from("é")],
        [{ _placeholder: false, num: 0 }],
        [["__proto__", { constructor: 1 }]],
      ]) {
        const back = next(socket, "message-back");
        socket.emit("message", ...args);
        assert.deepEqual(await back, args);
      }
      socket.disconnect();
    });

    test("acks carry any arguments, including binary", async () => {
      const { socket } = await greeted(options);
      const call = (...args) =>
        within(
          new Promise((resolve) => socket.emit("message-with-ack", ...args, (...back) => resolve(back))),
          "an ack",
        );
      assert.deepEqual(await call(), []);
      assert.deepEqual(await call(1, "2", { 3: [false] }), [1, "2", { 3: [false] }]);
      const binary = [Buffer.from([1, 2, 3]), "x", { deep: Buffer.from([4, 5]) }];
      assert.deepEqual(await call(...binary), binary);
      const calls = Array.from({ length: 100 }, (_, i) => call(i));
      assert.deepEqual(
        await Promise.all(calls),
        Array.from({ length: 100 }, (_, i) => [i]),
      );
      socket.disconnect();
    });

    test("the server echoes half a megabyte, as text and as attachments", async () => {
      const { socket } = await greeted(options);
      const back = next(socket, "message-back");
      const text = "é".repeat(200_000);
      const halves = [Buffer.alloc(250_000, 1), Buffer.alloc(250_000, 2)];
      socket.emit("message", text, { halves });
      const [sameText, { halves: sameHalves }] = await back;
      assert.ok(sameText === text, "the text differs");
      assert.ok(
        halves.every((half, i) => half.equals(sameHalves[i])),
        "the bytes differ",
      );
      socket.disconnect();
    });

    test("five hundred events keep their order, binary ones among them", async () => {
      const { socket } = await greeted(options);
      const seen = [];
      const all = new Promise((resolve) => {
        socket.on("message-back", (i) => {
          seen.push(i);
          if (seen.length === 500) resolve();
        });
      });
      for (let i = 0; i < 500; i++) {
        if (i % 10 === 0) socket.emit("message", i, Buffer.from([i & 255]));
        else socket.emit("message", i);
      }
      await within(all, "500 events");
      assert.deepEqual(
        seen,
        Array.from({ length: 500 }, (_, i) => i),
      );
      socket.disconnect();
    });

    test("namespaces share a connection; each has its own id and can leave alone", async () => {
      const manager = new Manager(server.url, { ...options, reconnection: false });
      const main = manager.socket("/");
      const custom = manager.socket("/custom", { auth: { who: "custom" } });
      const greeting = next(custom, "auth");
      await Promise.all([next(main, "connect"), next(custom, "connect")]);
      assert.deepEqual(await greeting, [{ who: "custom" }]);
      assert.notEqual(main.id, custom.id);
      assert.ok(![main.id, custom.id].includes(manager.engine.id), "the Engine.IO sid is a secret");
      custom.disconnect();
      assert.equal(await main.timeout(5000).emitWithAck("message-with-ack", "on"), "on");
      custom.connect();
      await next(custom, "connect");
      assert.equal(await custom.timeout(5000).emitWithAck("message-with-ack", "again"), "again");
      main.disconnect();
      custom.disconnect();
    });

    test("a client that loses its connection reconnects by itself", async () => {
      const socket = client({
        ...options,
        reconnection: true,
        reconnectionDelay: 20,
        reconnectionDelayMax: 40,
      });
      await next(socket, "connect");
      const first = socket.id;
      const lost = next(socket, "disconnect");
      const back = next(socket, "connect");
      socket.io.engine.close();
      await lost;
      socket.emit("message", "sent while away");
      const echo = next(socket, "message-back");
      await back;
      assert.notEqual(socket.id, first);
      assert.deepEqual(await echo, ["sent while away"]);
      socket.disconnect();
    });

    test("heartbeats keep a silent connection alive", async () => {
      const { socket } = await greeted(options);
      const id = socket.id;
      for (let i = 0; i < 4; i++) await next(socket.io, "ping", undefined, 3000);
      assert.equal(await socket.timeout(5000).emitWithAck("message-with-ack", "alive"), "alive");
      assert.equal(socket.id, id);
      socket.disconnect();
    });
  });
}

describe("by hand", () => {
  test("the CONNECT answer carries a public id, a different one per namespace", async () => {
    const ws = await raw();
    ws.send("40");
    const first = JSON.parse((await frame(ws)).slice(2));
    assert.equal(await frame(ws), '42["auth",{}]');
    ws.send('40/custom,{"token":"abc"}');
    const second = await frame(ws);
    assert.match(second, /^40\/custom,\{/);
    assert.equal(await frame(ws), '42/custom,["auth",{"token":"abc"}]');
    assert.equal(typeof first.sid, "string");
    assert.notEqual(JSON.parse(second.slice("40/custom,".length)).sid, first.sid);
    assert.notEqual(first.sid, ws.handshake.sid);
    ws.close();
  });

  test("a refused namespace is a CONNECT_ERROR", async () => {
    const ws = await raw();
    for (const name of ["/random", "/__proto__", "/constructor"]) {
      ws.send(`40${name}`);
      assert.equal(await frame(ws), `44${name},{"message":"Invalid namespace"}`);
    }
    ws.close();
  });

  test("DISCONNECT leaves one namespace and no other", async () => {
    const ws = await connected();
    ws.send("40/custom");
    await frame(ws);
    await frame(ws);
    ws.send("41");
    ws.send('42/custom,["message","still here"]');
    assert.equal(await frame(ws), '42/custom,["message-back","still here"]');
    ws.close();
  });

  test("an ack carries the id of its request, up to the largest safe integer", async () => {
    const ws = await connected();
    for (const id of ["0", "456", "4294967296", "9007199254740991"]) {
      ws.send(`42${id}["message-with-ack",1]`);
      assert.equal(await frame(ws), `43${id}[1]`);
    }
    ws.close();
  });

  test("attachments follow their packet, and come back in order", async () => {
    const ws = await connected();
    ws.send('452-["message",{"_placeholder":true,"num":0},"x",{"_placeholder":true,"num":1}]');
    ws.send(Buffer.from([1, 2, 3]));
    ws.send(Buffer.from([4, 5, 6]));
    const text = await frame(ws);
    assert.match(text, /^452-\["message-back"/);
    assert.deepEqual(JSON.parse(text.slice(4)), [
      "message-back",
      { _placeholder: true, num: 0 },
      "x",
      { _placeholder: true, num: 1 },
    ]);
    assert.deepEqual([...(await frame(ws))], [1, 2, 3]);
    assert.deepEqual([...(await frame(ws))], [4, 5, 6]);
    ws.close();
  });

  for (const [name, before, packets] of [
    ["an event before CONNECT", false, ['42["message"]']],
    ["an event after DISCONNECT", true, ["41", '42["message"]']],
    ["a second CONNECT to a namespace", true, ["40"]],
    ["an unknown packet type", true, ["4abc"]],
    ["an event without arguments", true, ["42"]],
    ["an event that is no list", true, ['42{"a":1}']],
    ["an empty list", true, ["42[]"]],
    ["broken JSON", true, ['42["message"']],
    ["an event name that is no string", true, ["42[{}]"]],
    ["the reserved name connect", true, ['42["connect"]']],
    ["the reserved name disconnecting", true, ['42["disconnecting"]']],
    ["the reserved name newListener", true, ['42["newListener"]']],
    ["an ack id that is no number", true, ['42abc["message-with-ack"]']],
    ["CONNECT_ERROR, which only a server sends", true, ['44{"message":"x"}']],
    [
      "a text in the middle of attachments",
      true,
      ['451-["message",{"_placeholder":true,"num":0}]', '42["message"]'],
    ],
    ["a stray binary message", true, [Buffer.from([1])]],
    ["a binary event without its count", true, ['45["message"]']],
    ["attachments without a number", true, ['45-["message"]']],
    ["too many attachments", true, ['4511-["message"]']],
    [
      "a placeholder beyond the attachments",
      true,
      ['451-["message",{"_placeholder":true,"num":1}]', Buffer.from([1])],
    ],
    ["a negative placeholder", true, ['451-["message",{"_placeholder":true,"num":-1}]', Buffer.from([1])]],
  ]) {
    test(`${name} ends the connection`, async () => {
      const ws = before ? await connected() : await raw();
      const closed = next(ws, "close", undefined, 400);
      for (const packet of packets) ws.send(packet);
      await closed;
    });
  }

  test("a session that does not answer its first ping ends in time", async () => {
    const ws = await raw({ pong: false });
    const closed = next(ws, "close", undefined, 2000);
    ws.send("40");
    await closed;
  });

  test("polling carries Socket.IO packets, binary as base64", async () => {
    const address = `${server.url}/socket.io/?EIO=4&transport=polling`;
    const { sid } = JSON.parse((await (await fetch(address)).text()).slice(1));
    const post = (body) => fetch(`${address}&sid=${sid}`, { method: "POST", body });
    await post("40");
    const seen = [];
    await until(async () => {
      seen.push(...(await (await fetch(`${address}&sid=${sid}`)).text()).split("\x1e"));
      return seen.length >= 2;
    }, "CONNECT and the greeting");
    assert.match(seen[0], /^40\{"sid":/);
    assert.equal(seen[1], '42["auth",{}]');
    await post('451-["message",{"_placeholder":true,"num":0}]\x1ebAQID');
    const answer = await (await fetch(`${address}&sid=${sid}`)).text();
    assert.equal(answer, '451-["message-back",{"_placeholder":true,"num":0}]\x1ebAQID');
    await post("1");
  });

  test("a connection without a namespace stays open until the connect timeout", async () => {
    const ws = await raw();
    await sleep(100);
    ws.send("40");
    assert.match(await frame(ws), /^40/);
    ws.close();
  });
});

/** An Engine.IO session over WebSocket that answers heartbeats and queues other packets. */
async function raw({ pong = true } = {}) {
  const ws = new WebSocket(`${server.url.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket`);
  ws.kept = [];
  ws.on("message", (data, isBinary) => {
    const text = isBinary ? undefined : data.toString();
    if (text === "2") {
      if (pong) ws.send("3");
      return;
    }
    ws.kept.push(isBinary ? data : text);
    ws.emit("kept");
  });
  ws.handshake = JSON.parse((await frame(ws)).slice(1));
  return ws;
}

/** Like `raw`, connected to `/` and past the first event. */
async function connected() {
  const ws = await raw();
  ws.send("40");
  assert.match(await frame(ws), /^40\{/);
  assert.match(await frame(ws), /^42\["auth"/);
  return ws;
}

async function frame(ws) {
  if (ws.kept.length === 0) await next(ws, "kept");
  return ws.kept.shift();
}
