// Presence on two nodes: a random walk of users who come, go and change their status. Each watcher gets
// exactly one event for each change, however it watches and on whichever node. SEED=… repeats a walk, STEPS=…
// sets its length.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Postgres, Redis } from "./lib/backing.mjs";
import { done, leaveAll, member, person } from "./lib/people.mjs";
import { API_KEY, Roomful } from "./lib/process.mjs";
import { random } from "./lib/random.mjs";
import { until } from "./lib/waiting.mjs";

const ROOM = "den";
const ACTORS = ["alice", "bob", "carol"];
const STATUSES = ["online", "away", "busy", "invisible"];
const STEPS = Number(process.env.STEPS ?? 30);

let postgres, redis;
let nodes = [];
before(async () => {
  [postgres, redis] = await Promise.all([Postgres.start(), Redis.start()]);
  const env = {
    ROOMFUL_STORE_URL: postgres.url,
    ROOMFUL_BUS_URL: redis.url,
    ROOMFUL__PRESENCE__GRACE: "200ms",
    ROOMFUL_LIMITS: "off",
  };
  const start = (name) => Roomful.start({ env: { ...env, ROOMFUL__CLUSTER__NODE: name } });
  nodes = await Promise.all([start("node-1"), start("node-2")]);
});
after(async () => {
  leaveAll();
  await Promise.all(nodes.map((node) => node.stop()));
  await Promise.all([redis?.stop(), postgres?.stop()]);
});

const pick = (chance, list) => list[Math.floor(chance() * list.length)];

/** The state that an event shows to others. */
const shown = {
  "presence:online": ({ status = "online" }) => status,
  "presence:status": ({ status }) => status,
  "presence:offline": () => "offline",
};

/** Notes the state of each actor, and the states that the events showed in turn. */
class Watcher {
  states = new Map(ACTORS.map((user) => [user, ["offline"]]));

  constructor(name, socket) {
    this.name = name;
    for (const [event, state] of Object.entries(shown))
      socket.on(event, (payload) => this.states.get(payload.userId)?.push(state(payload)));
  }

  state(user) {
    return this.states.get(user).at(-1);
  }
}

/** One watcher of each kind on each node. */
async function watchers() {
  const all = [];
  for (const [number, node] of nodes.entries()) {
    for (const kind of ["in the room", "subscribed", "both"]) {
      const name = `${kind} on node ${number + 1}`;
      const user = name.replaceAll(" ", "-");
      const socket = await (kind === "subscribed" ? person(node, user) : member(node, user, ROOM));
      all.push(new Watcher(name, socket));
      if (kind !== "in the room") await done(socket, "presence:subscribe", { users: ACTORS });
    }
  }
  return all;
}

/** A user of the walk, as the model has them. */
class Actor {
  sockets = [];
  /** The status that the user has set. */
  chosen = "online";
  /** The states that others must have seen, in turn. */
  states = ["offline"];

  constructor(user) {
    this.user = user;
  }

  /** The steps that make sense now. */
  steps() {
    if (this.sockets.length === 0) return ["connect"];
    const connect = this.sockets.length < 3 ? ["connect", "connect"] : [];
    return [...connect, "disconnect", "cut", "status", "status", "kick"];
  }

  async connect(chance) {
    const node = pick(chance, nodes);
    this.sockets.push(await member(node, this.user, ROOM, { reconnection: false }));
  }

  async #end(chance, end) {
    const socket = pick(chance, this.sockets);
    this.sockets = this.sockets.filter((other) => other !== socket);
    const closed = new Promise((resolve) => socket.once("disconnect", resolve));
    end(socket);
    await closed;
  }

  disconnect(chance) {
    return this.#end(chance, (socket) => socket.disconnect());
  }

  /** Ends the connection as a lost network does: without a goodbye. */
  cut(chance) {
    return this.#end(chance, (socket) => socket.io.engine.transport.ws.terminate());
  }

  async status(chance) {
    this.chosen = pick(chance, STATUSES);
    const socket = pick(chance, this.sockets);
    await done(socket, "presence:set_status", { status: this.chosen });
  }

  async kick() {
    const gone = this.sockets.map((socket) => new Promise((resolve) => socket.once("disconnect", resolve)));
    this.sockets = [];
    const answer = await fetch(`${nodes[0].url}/api/v1/users/${this.user}/disconnect`, {
      method: "POST",
      headers: { authorization: `Bearer ${API_KEY}` },
    });
    assert.equal(answer.status, 200, await answer.text());
    await Promise.all(gone);
  }

  /** Waits until all watchers have seen the state after a step. */
  async seen(all, context) {
    const hidden = this.sockets.length === 0 || this.chosen === "invisible";
    const state = hidden ? "offline" : this.chosen;
    if (state !== this.states.at(-1)) this.states.push(state);
    const late = () => all.filter((watcher) => watcher.state(this.user) !== state).map(({ name }) => name);
    await until(
      () => late().length === 0,
      () => `${this.user} to be ${state} at: ${late().join(", ")}; ${context()}`,
    );
  }
}

test("each watcher on each node gets one event for each change", { timeout: 240_000 }, async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  const chance = random(seed);
  const all = await watchers();
  const actors = ACTORS.map((user) => new Actor(user));
  const walk = [];
  const context = () => `SEED=${seed}; ${walk.slice(-8).join(", ")}`;
  for (let n = 0; n < STEPS; n++) {
    const actor = pick(chance, actors);
    const steps = actor.steps();
    const step = pick(chance, steps);
    walk.push(`${actor.user} ${step}`);
    await actor[step](chance);
    await actor.seen(all, context);
  }
  // Whatever was sent twice has arrived before these changes, which take the same ways.
  for (const actor of actors) {
    if (actor.sockets.length === 0) await actor.connect(chance);
    await actor.seen(all, context);
    for (const chosen of ["busy", "away"]) {
      await done(actor.sockets[0], "presence:set_status", { status: chosen });
      actor.chosen = chosen;
      await actor.seen(all, context);
    }
  }
  for (const { name, states } of all)
    for (const { user, states: expected } of actors)
      assert.deepEqual(states.get(user), expected, `${user}, ${name}; ${context()}`);
});
