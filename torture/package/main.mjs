// Devices that run @roomful/client, for a run of the torture: it writes orders to standard input, one a line,
// and reads the answers from standard output.
//
//   {"write": 5}      each device writes five messages, one after the other, in random rooms
//   {"check": true}   waits until all is quiet, and answers with what breaks the laws
//
// The process ends with its standard input.

import { createInterface } from "node:readline";

import { RoomfulApi } from "@roomful/server";

import { Device } from "./device.mjs";
import { violations } from "./laws.mjs";

const { DEVICES, LINES, ROOMFUL_URL, ROOMFUL_API_KEY, ROOMFUL_AUTH_SECRET } = process.env;
const ROOMS = ["package-north", "package-south"];
/** Two devices of each user. */
const DEVICES_PER_USER = 2;

const lines = LINES.split(",");
const api = new RoomfulApi(ROOMFUL_URL, { key: ROOMFUL_API_KEY });
const devices = Array.from({ length: Number(DEVICES) }, (_, at) => {
  const user = `package-${Math.floor(at / DEVICES_PER_USER)}`;
  const url = lines[at % lines.length];
  return new Device({ name: `${user}/${at}`, user, url, secret: ROOMFUL_AUTH_SECRET, rooms: ROOMS });
});

let writing = Promise.resolve();

/** What the server has in a room, oldest first. */
async function logOf(room) {
  const log = [];
  for await (const message of api.allMessages(room)) log.push(message);
  return log;
}

async function check() {
  await writing;
  const found = [];
  const settled = async (device, wanted) => {
    try {
      await wanted;
    } catch (error) {
      found.push(`${device.name}: ${error.message}`);
    }
  };
  await Promise.all(devices.map((device) => settled(device, device.quiet())));
  let stored = 0;
  for (const room of ROOMS) {
    const log = await logOf(room);
    stored += log.length;
    const head = log.at(-1)?.seq ?? 0;
    await Promise.all(devices.map((device) => settled(device, device.reaches(room, head))));
    found.push(...violations(room, log, devices.map((device) => device.view(room))));
  }
  for (const device of devices)
    for (const law of device.broken()) found.push(`${device.name}: it reports ${law}`);
  const reloads = devices.reduce((sum, device) => sum + device.reloads, 0);
  return { stored, reloads, violations: found };
}

for await (const line of createInterface({ input: process.stdin })) {
  const { write, check: asked } = JSON.parse(line);
  if (write) {
    const all = () => Promise.all(devices.map((device) => device.write(write)));
    writing = writing.then(all);
  }
  if (asked) console.log(JSON.stringify(await check()));
}
process.exit(0);
