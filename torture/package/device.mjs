// A device: a client of the package that writes, closes and opens views, and reloads. It remembers each
// message and its acknowledgement.

import { setTimeout as pause } from "node:timers/promises";

import { MemoryStorage, RoomfulClient } from "@roomful/client";
import { checkContract } from "@roomful/client/check";
import { mintToken } from "@roomful/server";

/** The longest pause between two messages, in milliseconds. */
const PAUSE = 60;
/** Of so many messages, one is followed by a reload. */
const RELOAD_EVERY = 12;
/** Of so many messages, one is followed by the end of a view, which opens again after this much time. */
const CLOSE_EVERY = 8;
const CLOSED = 2_500;
/** The longest life of a token, in seconds. */
const TOKEN = 20;
/** Milliseconds in which a healthy server acknowledges everything, and the device catches up. */
const RECOVERY = 60_000;

/** A refusal shows at the next check. */
const enter = (room) => void room.join().catch(() => undefined);

const random = (below) => Math.floor(Math.random() * below);

export class Device {
  #options;
  #client;
  #rooms;
  // It stays over reloads, as a browser's does.
  #storage = new MemoryStorage();
  #made = 0;
  /** Of each room, the texts that the device wrote, and the seqs of those that were acknowledged. */
  #written = new Map();
  /** Violations that clients before a reload have counted. */
  #broken = [];
  reloads = 0;

  constructor(options) {
    this.#options = options;
    for (const room of options.rooms) this.#written.set(room, new Map());
    this.#open();
  }

  get name() {
    return this.#options.name;
  }

  /** Writes messages, and now and then reloads in between. */
  async write(count) {
    for (let n = 0; n < count; n += 1) {
      const [name, room] = [...this.#rooms][random(this.#rooms.size)];
      const text = `${this.name} ${++this.#made}`;
      const written = this.#written.get(name);
      written.set(text, undefined);
      room.send({ text }).sent.then(
        ({ seq }) => written.set(text, seq),
        (error) => this.#broken.push(`a refusal of "${text}": ${error.message}`),
      );
      await pause(random(PAUSE));
      if (random(CLOSE_EVERY) === 0) await this.#closeView(room);
      if (random(RELOAD_EVERY) === 0) await this.#reload();
    }
  }

  /** Resolves once the device waits for no acknowledgement. */
  quiet() {
    const sends = ({ messages }) => messages.some(({ state }) => state === "sending");
    return this.#until((snapshots) => !snapshots.some(sends), "a message was never acknowledged");
  }

  /** Resolves once the device has everything up to a message of a room. */
  reaches(room, seq) {
    const at = this.#options.rooms.indexOf(room);
    const has = ({ joined, hasNewer, messages }) =>
      joined && !hasNewer && (messages.at(-1)?.seq ?? 0) >= seq;
    const otherwise = `did not catch up in ${room}, which ends at ${seq}`;
    return this.#until((snapshots) => has(snapshots[at]), otherwise);
  }

  /** What the device wrote and shows in a room. */
  view(room) {
    const { messages } = this.#rooms.get(room).getSnapshot();
    return { name: this.name, written: this.#written.get(room), shown: messages };
  }

  /** Violations of the laws that the clients of the device have counted themselves. */
  broken() {
    return [...this.#broken, ...this.#counted()];
  }

  #counted() {
    const all = Object.entries(this.#client.laws.violations);
    return all.filter(([, count]) => count > 0).map(([law, count]) => `${count} violations of "${law}"`);
  }

  #open() {
    const { user, url, secret, rooms } = this.#options;
    const life = () => 2 + random(TOKEN - 2);
    this.#client = new RoomfulClient(url, {
      token: async () => mintToken(secret, { user }, life()),
      storage: this.#storage,
      check: checkContract,
    });
    this.#rooms = new Map(rooms.map((name) => [name, this.#client.room(name)]));
    this.#client.connect();
    for (const room of this.#rooms.values()) enter(room);
  }

  /** A message that was written before leaves all the same. */
  async #closeView(room) {
    room.release();
    await pause(random(CLOSED));
    enter(room);
  }

  async #reload() {
    this.reloads += 1;
    this.#broken.push(...this.#counted());
    await this.#client.close();
    this.#open();
  }

  #until(wanted, otherwise) {
    const rooms = [...this.#rooms.values()];
    return new Promise((resolve, reject) => {
      const done = () => {
        clearTimeout(timer);
        for (const end of ends) end();
      };
      const look = () => {
        if (!wanted(rooms.map((room) => room.getSnapshot()))) return;
        done();
        resolve();
      };
      const timer = setTimeout(() => {
        done();
        reject(new Error(`${otherwise}; the connection is ${this.#client.connection.getSnapshot().state}`));
      }, RECOVERY);
      const ends = rooms.map((room) => room.subscribe(look));
      look();
    });
  }
}
