// `roomful import` on both stores: times, ids, repetition, continuation, errors, and the converters.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { find, Postgres } from "./lib/backing.mjs";
import { API_KEY, binary, ownEnvironment, Roomful, ROOT } from "./lib/process.mjs";

const EXAMPLES = join(ROOT, "examples/import");
const NOW = Date.now();
const DAY = 86_400_000;

/** `count` messages of a room, a second apart, from yesterday on. */
const messages = (count, from = 0) =>
  Array.from({ length: count }, (_, n) => ({
    type: "message",
    room: "lobby",
    id: `old-${n + from}`,
    userId: n % 2 ? "bob" : "alice",
    name: n % 2 ? "Bob" : "Alice",
    text: `text ${n + from}`,
    at: NOW - DAY + (n + from) * 1_000,
    ...(n === 2 && { replyTo: "old-0", mentions: ["bob"], metadata: { z: 1, a: 2 } }),
  }));

const HEAD = [
  { type: "room", room: "lobby", kind: "private", createdAt: NOW - 2 * DAY },
  { type: "member", room: "lobby", userId: "alice", role: "moderator", joinedAt: NOW - 2 * DAY },
  { type: "member", room: "lobby", userId: "bob", lastRead: "old-1" },
  { type: "member", room: "lobby", userId: "carol", lastRead: null },
];

async function api(server, path) {
  const answer = await fetch(`${server.url}/api/v1/${path}`, {
    headers: { authorization: `Bearer ${API_KEY}` },
  });
  assert.equal(answer.status, 200);
  return answer.json();
}

/** A folder with a store, and the commands on it. */
class Site {
  constructor(env = {}) {
    this.folder = mkdtempSync(join(tmpdir(), "roomful-import-"));
    this.env = env;
  }

  import(lines, ...flags) {
    const file = join(this.folder, "chat.ndjson");
    writeFileSync(
      file,
      typeof lines === "string" ? lines : lines.map((line) => JSON.stringify(line)).join("\n"),
    );
    const args = ["import", file, "--data", join(this.folder, "data"), ...flags];
    return spawnSync(binary("ROOMFUL_BIN", "roomful"), args, {
      encoding: "utf8",
      env: { ...ownEnvironment(), ...this.env },
    });
  }

  /** Imports lines and returns the summary. */
  good(lines, ...flags) {
    const { status, stdout, stderr } = this.import(lines, ...flags);
    assert.equal(status, 0, stderr);
    return stdout;
  }

  async served(look) {
    const server = await Roomful.start({ data: join(this.folder, "data"), env: this.env });
    try {
      return await look(server);
    } finally {
      await server.end("SIGTERM");
      await server.stop();
    }
  }

  remove() {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

let postgres;
before(async () => {
  postgres = await Postgres.start();
});
after(() => postgres?.stop());

const psql = (...args) =>
  execFileSync(find("psql"), ["-AtqX", "-v", "ON_ERROR_STOP=1", ...args, postgres.url], {
    encoding: "utf8",
  });

const STORES = {
  SQLite: () => new Site(),
  PostgreSQL: () => {
    psql("-c", "DROP DATABASE IF EXISTS import", "-c", "CREATE DATABASE import");
    return new Site({ ROOMFUL_STORE_URL: postgres.url.replace(/postgres$/, "import") });
  },
};

for (const [store, open] of Object.entries(STORES))
  describe(store, () => {
    let site;
    before(() => {
      site = open();
    });
    after(() => site.remove());

    test("keeps times, ids, replies, roles and read marks", async () => {
      const lines = [...HEAD, ...messages(1_200)];
      assert.match(site.good(lines, "--check"), /^Would import 1 rooms, 3 members and 1200 messages/);
      assert.equal(site.good(lines), "Imported 1 rooms, 3 members and 1200 messages.\n");
      await site.served(async (server) => {
        const room = await api(server, "rooms/lobby");
        assert.deepEqual([room.kind, room.head, room.createdAt], ["private", 1_200, NOW - 2 * DAY]);
        const page = await api(server, "rooms/lobby/messages?after=0&limit=3");
        const { id, ...third } = page.messages[2];
        assert.ok(id);
        assert.deepEqual(third, {
          room: "lobby",
          seq: 3,
          userId: "alice",
          name: "Alice",
          clientId: "old-2",
          text: "text 2",
          at: NOW - DAY + 2_000,
          replyTo: 1,
          mentions: ["bob"],
          metadata: { z: 1, a: 2 },
        });
        const { members } = await api(server, "rooms/lobby/members");
        assert.deepEqual(
          members.map(({ userId, role, readSeq, joinedAt }) => [userId, role, readSeq, joinedAt]),
          [
            ["alice", "moderator", 1_200, NOW - 2 * DAY],
            ["bob", "member", 2, NOW - 2 * DAY],
            ["carol", "member", 0, NOW - 2 * DAY],
          ],
        );
      });
    });

    test("a second run changes nothing, and a longer file continues", () => {
      const again = site.good([...HEAD, ...messages(1_200)]);
      assert.equal(again, "Imported 0 rooms, 0 members and 0 messages.\n1200 messages are there already.\n");
      assert.match(site.good([...HEAD, ...messages(1_300)]), /and 100 messages\.\n1200 messages are there/);
    });

    test("a room that went live is left alone", async () => {
      await site.served(async (server) => {
        const answer = await fetch(`${server.url}/api/v1/rooms/lobby/messages`, {
          method: "POST",
          headers: { authorization: `Bearer ${API_KEY}`, "content-type": "application/json" },
          body: JSON.stringify({ userId: "dave", text: "live" }),
        });
        assert.equal(answer.status, 201);
      });
      assert.match(site.good([...HEAD, ...messages(1_400)]), /0 messages\.\n1400 messages belong to rooms/);
    });
  });

describe("the file", () => {
  const site = new Site();
  after(() => site.remove());

  test("with a fault is refused as a whole, with the number of the line", async () => {
    const [room] = HEAD;
    const [message, next] = messages(2);
    const same = ({ id, userId }) => ({ id, userId });
    for (const [lines, what] of [
      [[room, { ...message, text: "" }], /line 2: .*text/],
      [[room, next, message], /line 3: the messages of a room must stand in the order of their times/],
      [[message], /line 1: the room "lobby" needs a line of its own/],
      [[room, room], /line 2: the room has a line already/],
      [[{ ...room, room: "" }], /line 1: room must be/],
      [[room, { ...message, at: "yesterday" }], /line 2: a time must be milliseconds/],
      [[room, { ...message, colour: "red" }], /line 2: unknown field `colour`/],
      [[room, { type: "member", room: "lobby", userId: "" }], /line 2: userId must/],
      [[room, HEAD[1], { ...HEAD[1], role: "member" }], /line 3: the user has a line for this room/],
      [[room, { type: "member", room: "hall", userId: "ann" }], /line 2: the room "hall" needs a line/],
      [[room, message, { ...next, ...same(message) }], /line 3: the user has a message with this id/],
      [
        [room, message, { ...next, id: message.id }, { ...HEAD[2], lastRead: message.id }],
        /the id "old-0" belongs to messages of several users in the room "lobby"/,
      ],
      ["{", /line 1: not valid JSON: EOF while parsing an object \(column 1\)/],
      [`"${"x".repeat(1_100_000)}"`, /line 1: is longer than 1 MiB/],
    ]) {
      for (const flags of [[], ["--check"]]) {
        const { status, stderr } = site.import(lines, ...flags);
        assert.equal(status, 2, stderr);
        assert.match(stderr, what);
      }
    }
    await site.served(async (server) => assert.deepEqual((await api(server, "rooms")).rooms, []));
  });

  test("may hold more than retention keeps", () => {
    const small = new Site({ ROOMFUL__HISTORY__MAX_MESSAGES: "10", ROOMFUL__HISTORY__MAX_AGE: "30d" });
    const old = { ...messages(1)[0], id: "ancient", at: NOW - 40 * DAY };
    const lines = [HEAD[0], old, ...messages(25)];
    const expected = /10 messages\.\n1 messages are older.*\n15 messages are beyond/;
    assert.match(small.good(lines), expected);
    assert.match(small.good(lines), /0 messages\.\n25 messages are there already.*\n1 messages are older/);
    small.remove();
  });

  test("may name the last read message of a member that it lacks", () => {
    const other = new Site();
    const member = { ...HEAD[2], lastRead: "none" };
    const lines = [HEAD[0], member, ...messages(2)];
    const expected = /2 messages\.\n1 members have no read mark, since the file lacks the message/;
    assert.match(other.good(lines, "--check"), expected);
    assert.match(other.good(lines), expected);
    other.remove();
  });

  test("waits for the server to stop", async () => {
    await site.served(async () => {
      const { status, stderr } = site.import([HEAD[0]]);
      assert.notEqual(status, 0);
      assert.match(stderr, /stop it first/);
    });
  });
});

describe("the recipes", () => {
  const site = new Site();
  after(() => site.remove());
  const convert = (script, source) =>
    execFileSync(process.execPath, [join(EXAMPLES, script), join(EXAMPLES, "samples", source)], {
      encoding: "utf8",
    });
  // The samples are older than the default of 90 days.
  site.env = { ROOMFUL__HISTORY__MAX_AGE: "36500d" };

  test("name the missing files in the folder of a Slack export", () => {
    const script = join(EXAMPLES, "from-slack.mjs");
    for (const args of [[], [join(EXAMPLES, "samples")]]) {
      const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { encoding: "utf8" });
      assert.deepEqual([status, stdout], [2, ""]);
      assert.match(stderr, /folder of the unpacked export/);
    }
  });

  test("convert a Slack export", async () => {
    assert.match(site.good(convert("from-slack.mjs", "slack")), /2 rooms, 4 members and 4 messages/);
    await site.served(async (server) => {
      const { messages } = await api(server, "rooms/general/messages");
      assert.deepEqual(
        messages.map(({ name, text, replyTo }) => [name, text, replyTo]),
        [
          ["Alice", "First", undefined],
          ["Alice", "Hi @Bob Bell, see the plan (https://example.com) & reply", undefined],
          ["Bob Bell", "Done <3", 2],
        ],
      );
      assert.equal((await api(server, "rooms/dm-D1")).kind, "private");
    });
  });

  test("convert a channel export of Stream", async () => {
    const other = new Site(site.env);
    assert.match(other.good(convert("from-stream.mjs", "stream.json")), /1 rooms, 2 members and 2 messages/);
    await other.served(async (server) => {
      const { members } = await api(server, "rooms/general/members");
      assert.deepEqual(
        members.map(({ userId, role, readSeq }) => [userId, role, readSeq]),
        [
          ["alice", "moderator", 2],
          ["bob", "member", 1],
        ],
      );
    });
    other.remove();
  });

  test("export the tables of a Socket.IO app", async () => {
    psql(
      "-c",
      `CREATE TABLE rooms (name text, is_private bool, created_at timestamptz);
       CREATE TABLE memberships (room text, user_id int, joined_at timestamptz, last_read_message_id int);
       CREATE TABLE messages (id int, room text, user_id int, user_name text, body text, reply_to_id int,
         created_at timestamptz);
       INSERT INTO rooms VALUES ('sql', true, now() - interval '1 day');
       INSERT INTO memberships VALUES ('sql', 1, now() - interval '1 day', 1), ('sql', 2, now(), NULL);
       INSERT INTO messages VALUES
        (1, 'sql', 1, 'Alice', 'back\\slash "quoted"', NULL, now() - interval '2 hours'),
         (2, 'sql', 2, NULL, 'two' || chr(10) || 'lines', 1, now() - interval '1 hour')`,
    );
    assert.match(site.good(psql("-f", join(EXAMPLES, "from-sql.sql"))), /1 rooms, 2 members and 2 messages/);
    await site.served(async (server) => {
      const { messages } = await api(server, "rooms/sql/messages");
      assert.deepEqual(
        messages.map(({ text, replyTo }) => [text, replyTo]),
        [
          ['back\\slash "quoted"', undefined],
          ["two\nlines", 1],
        ],
      );
    });
  });
});
