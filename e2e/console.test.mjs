// The operator's console in a real Chromium, on the real server with chat users.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";

import { Window, launch } from "./lib/browser.mjs";
import { call, done, heard, leaveAll, member, person } from "./lib/people.mjs";
import { API_KEY, Roomful } from "./lib/process.mjs";
import { next, until } from "./lib/waiting.mjs";

const SCOPES = ["admin", "moderation", "rooms:read"];
const nameOf = (scope) => scope.replace(":", "-");
const keyOf = (scope) => `one-scope-key-0123456789-${nameOf(scope)}-abcdefgh`;
const entryOf = (scope) =>
  `[[api.keys]]\nname = "${nameOf(scope)}"\nsecret = "${keyOf(scope)}"\nscopes = ["${scope}"]\n`;
const NARROW_KEY = "narrow-key-0123456789-abcdefghijklmnop";
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };

let server;
let browser;
/** A webhook's receiver; tests set what it answers. */
let receiver;
const folder = mkdtempSync(join(tmpdir(), "roomful-console-"));
const windows = [];

before(async () => {
  receiver = createServer((request, response) => {
    request.resume();
    response.writeHead(receiver.status).end();
  }).listen(0, "127.0.0.1");
  receiver.status = 500;
  await once(receiver, "listening");
  const config = join(folder, "roomful.toml");
  writeFileSync(
    config,
    `[[api.keys]]
name = "narrow"
secret = "${NARROW_KEY}"
scopes = ["rooms:read", "users:read"]
${SCOPES.map(entryOf).join("")}[[hooks]]
name = "texts"
event = "message.send"
url = "http://127.0.0.1:${receiver.address().port}/hook"
secret = "whsec_${Buffer.alloc(32, 8).toString("base64")}"
rooms = ["asked-*"]
open_after = 1
retries = 0
[[webhooks]]
name = "receiver"
url = "http://127.0.0.1:${receiver.address().port}/"
secret = "whsec_${Buffer.alloc(32, 7).toString("base64")}"
events = ["room.created"]
[outbox]
attempts = 1
`,
  );
  server = await Roomful.start({
    args: ["--config", config],
    env: { ROOMFUL__PRESENCE__GRACE: "100ms", ROOMFUL_LIMITS: "off" },
  });
  browser = await launch();
});
afterEach(async () => {
  leaveAll();
  const faults = windows.flatMap((window) => window.faults);
  await Promise.all(windows.splice(0).map((window) => window.close()));
  assert.deepEqual(faults, [], "the page complained");
});
after(async () => {
  await browser?.close();
  await server?.stop();
  receiver?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A window on the console; it notes all URLs and console lines. */
async function open({ place = "", ...options } = {}) {
  const window = await Window.open(browser, server, { path: "/console", ...options });
  windows.push(window);
  window.urls = [];
  window.lines = [];
  window.page.on("request", (request) => window.urls.push(request.url()));
  window.page.on("console", (message) => window.lines.push(message.text()));
  if (place) await window.page.goto(`${server.url}/console${place}`);
  return window;
}

async function enter(window, key = API_KEY) {
  await window.at("sign-in-key").fill(key);
  await window.at("sign-in-key").press("Enter");
  await window.at("views").waitFor({ state: "attached" });
  return window;
}

const signedIn = async (options) => enter(await open(options));

/** Confirms the open dialog and waits for the line that says what happened. */
async function confirm(window, outcome) {
  await window.at("ask-yes").click();
  await window.at("outcome").filter({ hasText: outcome }).waitFor();
}

function api(method, path, body) {
  return fetch(`${server.url}/api/v1${path}`, {
    method,
    headers: { Authorization: `Bearer ${API_KEY}`, "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  });
}

/** A connected user who was here before, so that the server knows them between two connections too. */
async function regular(user, room) {
  (await person(server, user)).disconnect();
  const gone = async () => {
    const answer = await api("GET", `/users/${user}`);
    return answer.ok && (await answer.json()).status === "offline";
  };
  await until(gone, `${user} to be offline`);
  return member(server, user, room);
}

describe("sign-in", () => {
  test("a wrong key is refused in plain words, and the right one opens the overview", async () => {
    const window = await open();
    await window.at("sign-in-key").fill("wrong-key");
    await window.at("sign-in-key").press("Enter");
    await window.at("sign-in-error").filter({ hasText: "does not know this key" }).waitFor();
    // Chromium itself writes about an answer of 401.
    assert.equal(window.faults.splice(0).filter((fault) => !/status of 401/.test(fault)).length, 0);
    await enter(window);
    await window.at("figures").waitFor();
    assert.equal(await window.at("view").getAttribute("data-view"), "overview");
  });

  test("a key that no header can carry is refused like a wrong one", async () => {
    const window = await open();
    await window.at("sign-in-key").fill("schlüssel 🔑");
    await window.at("sign-in-key").press("Enter");
    await window.at("sign-in-error").filter({ hasText: "does not know this key" }).waitFor();
  });

  test("a key with few scopes sees only the parts that they allow", async () => {
    await member(server, "nora", "narrow");
    const window = await enter(await open(), NARROW_KEY);
    const names = await window.at("views").locator("a").allInnerTexts();
    assert.deepEqual(
      names.map((name) => name.trim()),
      ["Rooms", "Users"],
    );
    assert.equal(await window.at("key-name").innerText(), "narrow");
    await window.page.goto(`${server.url}/console#/users/nora`);
    await window.at("user", { user: "nora" }).waitFor();
    for (const action of ["disconnect", "revoke", "ban", "mute"])
      assert.equal(await window.at(action).count(), 0, action);
    await window.page.goto(`${server.url}/console#/audit`);
    await window.at("why-nothing").filter({ hasText: "it needs the scope admin" }).waitFor();
  });

  for (const [name, views] of Object.entries({
    admin: ["Users", "Connections", "Explain", "Webhooks", "Hooks", "Audit log", "Settings"],
    moderation: ["Rooms", "Users", "Reports", "Bans and mutes"],
    "rooms:read": ["Rooms"],
  })) {
    test(`a key with only the scope ${name} sees its views, and why the others are closed`, async () => {
      await api("DELETE", "/rooms/scoped/mutes/vera");
      const vera = await member(server, "vera", "scoped");
      await done(vera, "chat:send_message", { room: "scoped", text: "hello" });
      await api("PUT", "/rooms/scoped/mutes/vera", { reason: "spam" });
      const window = await enter(await open(), keyOf(name));
      await window.at("views").locator("a").first().waitFor();
      const names = await window.at("views").locator("a").allInnerTexts();
      assert.deepEqual(
        names.map((one) => one.trim()),
        views,
      );
      const refused = [];
      window.page.on("response", (response) => {
        if (response.status() === 403) refused.push(response.url());
      });
      for (const place of ["overview", "rooms", "rooms/scoped", "users/vera", "reports", "hooks", "audit"]) {
        await window.page.goto(`${server.url}/console#/${place}`);
        const parts = ["why-nothing", "row", "locked"].map((id) => `[data-testid="${id}"]`);
        await window.page
          .locator([...parts, ".empty"].join(", "))
          .first()
          .waitFor();
        await window.picture(`console-key-${name.replace(":", "-")}-${place.replace("/", "-")}`);
      }
      await window.at("key-name").click();
      await window.at("row", { id: "overview" }).filter({ hasText: "stats:read" }).waitFor();
      await window.picture(`console-key-${name.replace(":", "-")}`);
      assert.deepEqual(refused, [], "the page makes only calls that the key may make");
    });
  }

  test("the key is in no URL, no storage and no console line, and a reload asks again", async () => {
    const window = await signedIn();
    await window.at("figures").waitFor();
    await window.at("view-rooms").click();
    await window.at("search-room").waitFor();
    const stored = await window.page.evaluate(async () => [
      document.cookie,
      JSON.stringify({ ...localStorage }),
      JSON.stringify({ ...sessionStorage }),
      JSON.stringify(await indexedDB.databases()),
      location.href,
      document.documentElement.outerHTML,
    ]);
    for (const text of [...stored, ...window.urls, ...window.lines])
      assert.ok(!text.includes(API_KEY), `the key is in ${text.slice(0, 200)}`);
    assert.ok(!server.log().includes(API_KEY), "the key is in the server's log");
    assert.ok(window.urls.some((url) => url.endsWith("/api/v1/rooms")));
    await window.page.reload();
    await window.at("sign-in-key").waitFor();
    assert.equal(await window.at("sign-in-key").inputValue(), "");
  });

  test("signing out forgets the key", async () => {
    const window = await signedIn();
    await window.at("sign-out").click();
    await window.at("sign-in-key").waitFor();
    assert.equal(await window.at("sign-in-key").inputValue(), "");
  });
});

describe("the views", () => {
  test("the overview shows the figures of the cluster and its nodes", async () => {
    await member(server, "ada", "tea");
    await member(server, "grace", "tea");
    const window = await signedIn();
    const users = window.at("figures").locator('[data-figure="users"] dd');
    await users.filter({ hasText: /^2$/ }).waitFor();
    await window.page.getByRole("region", { name: "Nodes" }).getByTestId("row").waitFor();
    const chart = window.at("chart").first().locator("svg");
    await chart.waitFor();
    assert.match(await chart.getAttribute("aria-label"), /^Connections over .*: last .*lowest .*highest /);
    await window.picture("console-overview");
  });

  test("the charts of a cluster show the sum of its nodes, or the chosen one", async () => {
    const window = await open();
    await window.page.route("**/api/v1/stats", async (route) => {
      const stats = await (await route.fetch()).json();
      stats.nodes.push({ ...stats.nodes[0], node: "other" });
      await route.fulfill({ json: stats });
    });
    await enter(window);
    await window.page.getByRole("heading", { name: "The last hours on all nodes" }).waitFor();
    await window.at("chart").first().waitFor();
    await window.picture("console-cluster");
    await window.at("chart-node").selectOption("local");
    await window.page.getByRole("heading", { name: "The last hours on local" }).waitFor();
    await window.at("chart").first().waitFor();
    const asked = window.urls.flatMap((url) => url.split("/stats/history?")[1] ?? []);
    assert.deepEqual([...new Set(asked)], ["all=true", "node=local"]);
  });

  test("an operator finds a user and disconnects them", async () => {
    const ada = await regular("ada", "tea");
    const window = await signedIn();
    await window.at("view-users").click();
    await window.at("search-user").fill("ada");
    await window.at("search-user").press("Enter");
    await window.at("user", { user: "ada" }).waitFor();
    await window.at("user-status").filter({ hasText: "online" }).waitFor();
    await window.at("user-connections").filter({ hasText: /^1$/ }).waitFor();
    await window.picture("console-user");
    const gone = next(ada, "disconnect");
    await window.at("disconnect").click();
    await window.at("ask").filter({ hasText: "All their connections close" }).waitFor();
    await window.at("ask-no").click();
    assert.ok(ada.connected, "the question alone disconnects nobody");
    await window.at("disconnect").click();
    await window.picture("console-ask");
    await confirm(window, "Connections closed: 1.");
    assert.equal((await gone)[0], "io server disconnect");
    await window.at("user-status").filter({ hasText: "offline" }).waitFor();
  });

  test("a user's rooms, sanctions, blocks, reports and connections are on their page", async () => {
    const [gina, ada] = [await member(server, "gina", "parts"), await member(server, "ada", "parts")];
    await api("PUT", "/rooms/parts/members/gina", { role: "moderator" });
    await api("PUT", "/rooms/other");
    await api("PUT", "/rooms/other/bans/gina", { reason: "off topic" });
    const { seq } = await done(gina, "chat:send_message", { room: "parts", text: "buy this" });
    await done(ada, "chat:report", { room: "parts", seq, reason: "spam" });
    await done(gina, "user:block", { userId: "mallory" });
    const window = await signedIn({ place: "#/users/gina" });
    await window.at("row", { id: "parts" }).filter({ hasText: "moderator" }).waitFor();
    await window.picture("console-user-rooms");
    await window.at("tab-sanctions").click();
    await window.at("row", { id: "ban other" }).filter({ hasText: "off topic" }).waitFor();
    await window.picture("console-user-sanctions");
    await window.at("tab-connections").click();
    await window.at("row", { id: gina.session.sessionId }).filter({ hasText: "websocket" }).waitFor();
    await window.picture("console-user-connections");
    await window.at("tab-reports").click();
    await window.at("row").filter({ hasText: "buy this" }).waitFor();
    await window.page.getByText("The user has reported no message.").waitFor();
    await window.picture("console-user-reports");
    await window.at("tab-blocks").click();
    await window.at("row", { id: "mallory" }).waitFor();
    await window.picture("console-user-blocks");
    await window.at("tab-sanctions").click();
    await window.at("row", { id: "ban other" }).getByTestId("lift").click();
    await confirm(window, "gina is no longer banned in other.");
    await window.at("row", { id: "ban other" }).waitFor({ state: "detached" });
  });

  test("a user is exported as a file, and erased once their id is typed", async () => {
    const erin = await member(server, "erin", "last");
    await done(erin, "chat:send_message", { room: "last", text: "my own words" });
    const window = await signedIn({ place: "#/users/erin" });
    await window.at("export").click();
    const downloaded = window.page.waitForEvent("download");
    await confirm(window, "The data of erin is downloaded.");
    const download = await downloaded;
    assert.equal(download.suggestedFilename(), "erin.ndjson");
    assert.match(readFileSync(await download.path(), "utf8"), /my own words/);
    await window.at("erase").click();
    await window.at("ask-choice").selectOption("delete");
    await window.at("ask-yes").click();
    await window.at("ask").filter({ hasText: "Type erin to confirm." }).waitFor();
    await window.picture("console-erase");
    assert.ok(erin.connected, "nothing happens without the id");
    await window.at("ask-typed").fill("erin");
    await confirm(window, "erin is erased.");
    assert.equal((await api("GET", "/users/erin")).status, 404);
    // Chromium itself writes about the answer of 404 to the page's next reading.
    window.faults.splice(0).forEach((fault) => assert.match(fault, /status of 404/));
  });

  test("a failing hook shows its circuit and why it failed", async () => {
    receiver.status = 500;
    const ada = await member(server, "ada", "asked-1");
    await done(ada, "chat:send_message", { room: "asked-1", text: "hello" });
    const window = await signedIn({ place: "#/hooks" });
    const row = window.at("row", { id: "local texts" });
    await row
      .filter({ hasText: "not asked: it failed too often" })
      .filter({ hasText: "answered 500" })
      .waitFor();
    await row.filter({ hasText: "1 status" }).waitFor();
    await window.picture("console-hooks");
  });

  test("a ban with an end and a reason takes effect, shows in the list, and can be lifted", async () => {
    const adam = await regular("adam", "tea");
    const window = await signedIn({ place: "#/users/adam" });
    await window.at("ban").click();
    await window.at("ask-end").selectOption("day");
    await window.at("ask-reason").fill("spam in <b>many</b> rooms");
    const gone = next(adam, "disconnect");
    await confirm(window, "adam is banned in all rooms until");
    await gone;
    await window.at("tab-sanctions").click();
    await window.at("row", { id: "ban" }).filter({ hasText: "spam in" }).waitFor();
    await window.picture("console-banned-user");
    await window.at("view-sanctions").click();
    const row = window.at("row", { id: "adam" });
    await row.filter({ hasText: "spam in <b>many</b> rooms" }).waitFor();
    await window.picture("console-bans");
    await row.getByTestId("lift").click();
    await confirm(window, "adam is no longer banned in all rooms.");
    await row.waitFor({ state: "detached" });
    await person(server, "adam");
  });

  test("a room shows its members and messages, and can be frozen and muted in", async () => {
    const ada = await member(server, "ada", "a room/ö");
    const grace = await member(server, "grace", "a room/ö");
    await done(ada, "chat:send_message", { room: "a room/ö", text: "**Hello** <i>all</i>" });
    const window = await signedIn({ place: "#/rooms" });
    await window.at("row", { id: "a room/ö" }).locator("a").click();
    await window.at("row", { id: "grace" }).waitFor();
    await window.picture("console-room");
    await window.at("freeze").click();
    await confirm(window, "a room/ö is frozen.");
    await window.at("room-state").filter({ hasText: "frozen" }).waitFor();
    const frozen = await call(ada, "chat:send_message", { room: "a room/ö", text: "anybody?" });
    assert.equal(frozen.ok, false);
    await window.at("freeze").click();
    await confirm(window, "a room/ö is open again.");
    await window.at("slow-mode").selectOption("30");
    await confirm(window, "The slow mode of a room/ö is 30 s.");
    await window.at("row", { id: "grace" }).getByTestId("mute").click();
    await confirm(window, "grace is muted in a room/ö.");
    const muted = await call(grace, "chat:send_message", { room: "a room/ö", text: "me?" });
    assert.equal(muted.error.code, "muted");
    // The row of a muted member has a button that ends the mute, and none that mutes.
    await window.at("row", { id: "grace" }).getByTestId("unmute").waitFor();
    assert.equal(await window.at("row", { id: "grace" }).getByTestId("mute").count(), 0);
    assert.equal(await window.at("row", { id: "ada" }).getByTestId("unmute").count(), 0);
    await window.at("tab-mutes").click();
    await window.at("row", { id: "grace" }).getByTestId("lift").waitFor();
    await window.at("tab-members").click();
    await window.at("row", { id: "grace" }).getByTestId("unmute").click();
    await confirm(window, "grace is no longer muted in a room/ö.");
    await window.at("row", { id: "grace" }).getByTestId("mute").waitFor();
    await done(grace, "chat:send_message", { room: "a room/ö", text: "thanks" });
    await window.at("tab-messages").click();
    await window.at("row", { id: "1" }).filter({ hasText: "**Hello** <i>all</i>" }).waitFor();
  });

  test("a room or user that does not exist is named once, and the page goes on", async () => {
    await api("PUT", "/users/ghost/mute", { reason: "known by a mute alone" });
    const window = await signedIn();
    for (const [place, text] of [
      ["rooms/none", "No room with the name “none” is known."],
      ["users/nobody", "No user with the id “nobody” is known."],
      ["users/ghost?tab=sanctions", "No user with the id “ghost” is known."],
    ]) {
      await window.page.goto(`${server.url}/console#/${place}`);
      await window.at("unknown").filter({ hasText: text }).waitFor();
      await window.picture(`console-unknown-${place.replaceAll(/\W+/g, "-")}`);
      assert.equal(await window.at("unknown").count(), 1);
      assert.equal(await window.at("failure").count(), 0);
    }
    await window.at("row", { id: "mute" }).getByTestId("lift").waitFor();
    // Another answer of 404 is a sentence, and asking again is no help.
    await window.page.goto(`${server.url}/console#/explain?user=ghost&room=none&seq=1`);
    const failure = window.at("failure").filter({ hasText: "There is no such room." });
    await failure.waitFor();
    assert.equal(await failure.getByRole("button").count(), 0);
    await window.at("view-overview").click();
    await window.at("figures").waitFor();
    // Chromium itself writes about each answer of 404.
    window.faults.splice(0).forEach((fault) => assert.match(fault, /status of 404/));
  });

  test("the page of a muted or banned user says so, and offers to end it", async () => {
    await member(server, "mona", "tea");
    const window = await signedIn({ place: "#/users/mona" });
    const [mute, unmute] = [window.at("mute"), window.at("unmute")];
    await mute.click();
    await confirm(window, "mona is muted in all rooms.");
    await window.at("user-sanction", { kind: "mute" }).filter({ hasText: "muted" }).waitFor();
    await unmute.waitFor();
    assert.equal(await mute.count(), 0);
    assert.equal(await window.at("ban").count(), 1);
    await window.picture("console-muted-user");
    await unmute.click();
    await confirm(window, "mona is no longer muted in all rooms.");
    await mute.waitFor();
    assert.equal(await unmute.count(), 0);
    // A mute in one room is no mute in all.
    await api("PUT", "/rooms/tea/mutes/mona");
    await window.at("ban").click();
    await confirm(window, "mona is banned in all rooms.");
    await window.at("unban").waitFor();
    assert.equal(await mute.count(), 1);
    await window.at("unban").click();
    await confirm(window, "mona is no longer banned in all rooms.");
    await window.at("user-sanction").waitFor({ state: "detached" });
  });

  test("lists come in pages", async () => {
    for (let index = 0; index < 60; index += 1) await api("PUT", `/rooms/page-${100 + index}`);
    const window = await signedIn({ place: "#/rooms" });
    await window.at("row").first().waitFor();
    assert.equal(await window.at("row").count(), 50);
    await window.page.getByRole("button", { name: "Next" }).click();
    await window.page.getByText("Page 2").waitFor();
    await window.at("row", { id: "page-159" }).waitFor();
    await window.page.getByRole("button", { name: "Previous" }).click();
    await window.at("row", { id: "page-100" }).waitFor();
  });

  test("connections can be found by user, with all that the server knows of one", async () => {
    const ada = await member(server, "ada", "tea");
    await member(server, "grace", "tea");
    const window = await signedIn({ place: "#/connections" });
    await window.at("row").nth(1).waitFor();
    await window.at("search-user").fill("ada");
    await window.at("search-user").press("Enter");
    const row = window.at("row", { id: ada.session.sessionId });
    await row.waitFor();
    await until(async () => (await window.at("row").count()) === 1, "only Ada's connection");
    await row.getByTestId("details").click();
    await window.at("connection").filter({ hasText: "websocket" }).waitFor();
    await window.picture("console-connections");
  });

  test("explain says in words whether a message reached a user", async () => {
    const ada = await member(server, "ada", "why");
    const grace = await member(server, "grace", "why");
    const sent = await done(ada, "chat:send_message", { room: "why", text: "did you get it?" });
    await heard(grace, "chat:receive_message");
    await done(grace, "chat:message_read", { room: "why", seq: sent.seq });
    const window = await signedIn({ place: "#/explain" });
    await window.at("search-user").fill("grace");
    await window.at("search-room").fill("why");
    await window.at("search-seq").fill(String(sent.seq));
    await window.at("search-submit").click();
    await window.at("findings").locator("li").first().waitFor();
    await window.at("fact", { name: "Read" }).filter({ hasText: "yes" }).waitFor();
    await window.at("fact", { name: "Author" }).filter({ hasText: "ada" }).waitFor();
    await window.at("row", { id: grace.session.sessionId }).waitFor();
    await window.picture("console-explain");
  });

  test("a dead record of a webhook shows its error, and can be sent again", async () => {
    await api("PUT", "/rooms/hooked");
    const window = await signedIn({ place: "#/records" });
    const row = window.at("row").filter({ hasText: "hooked" });
    await row.filter({ hasText: "500" }).waitFor();
    await window.picture("console-records");
    receiver.status = 200;
    await row.getByTestId("replay").click();
    await confirm(window, "Records that are due again: 1.");
    await row.waitFor({ state: "detached" });
    await window.at("tab-delivered").click();
    await row.waitFor();
  });

  test("a report is decided by deleting the message", async () => {
    const adam = await member(server, "adam", "reported");
    const grace = await member(server, "grace", "reported");
    const { seq } = await done(adam, "chat:send_message", { room: "reported", text: "rude words" });
    await done(grace, "chat:report", { room: "reported", seq, reason: "abuse" });
    const window = await signedIn({ place: "#/reports" });
    const row = window.at("row").filter({ hasText: "rude words" });
    await row.getByTestId("report-delete").click();
    await window.picture("console-reports");
    await confirm(window, "The report about adam is closed: deleted.");
    await row.waitFor({ state: "detached" });
    await window.at("tab-deleted").click();
    await row.waitFor();
    // The line of the outcome goes with the view.
    await window.at("view-rooms").click();
    await window.at("outcome").filter({ hasText: /^$/ }).waitFor({ state: "attached" });
  });

  test("the audit log shows what the console did", async () => {
    await api("PUT", "/rooms/audited", { frozen: true });
    const window = await signedIn({ place: "#/audit" });
    await window.at("row").filter({ hasText: "audited" }).first().waitFor();
    await window.picture("console-audit");
  });
});

describe("the settings", () => {
  test("code in the text of a warning shows as code", async () => {
    const window = await open();
    await window.page.route("**/api/v1/settings", async (route) => {
      const settings = await (await route.fetch()).json();
      const warning = { key: "auth.secret", text: "it is short; `openssl rand -base64 48` makes a good one" };
      await route.fulfill({ json: { ...settings, warnings: [warning] } });
    });
    await enter(window);
    await window.page.goto(`${server.url}/console#/settings`);
    const warning = window.at("warning", { key: "auth.secret" });
    await warning.getByText("It is short; openssl rand -base64 48 makes a good one.").waitFor();
    assert.equal(await warning.locator("p code").innerText(), "openssl rand -base64 48");
    await window.picture("console-warning-code");
  });

  test("the overview names an unsafe setting and leads to it", async () => {
    const window = await signedIn();
    await window.at("unsafe").filter({ hasText: "limits.rates" }).waitFor();
    await window.picture("console-unsafe");
    await window.at("unsafe").locator("a").press("Enter");
    await window.at("warning", { key: "limits.rates" }).filter({ hasText: "rate limits are off" }).waitFor();
    assert.equal(await window.at("warning").count(), 1);
  });

  test("the settings in force have a source, can be filtered, and show no secret", async () => {
    const window = await signedIn({ place: "#/settings" });
    await window.at("row", { id: "limits.rates" }).filter({ hasText: "environment" }).waitFor();
    await window.at("row", { id: "outbox.attempts" }).filter({ hasText: "file" }).waitFor();
    const secret = window.at("row", { id: "webhooks[0].secret" });
    await secret.filter({ hasText: /set/ }).waitFor();
    const text = await window.at("view").innerText();
    for (const hidden of [API_KEY, NARROW_KEY, "whsec_"]) assert.ok(!text.includes(hidden), hidden);
    await window.picture("console-settings");
    await window.at("filter").fill("webhooks secret");
    await window.at("row", { id: "limits.rates" }).waitFor({ state: "detached" });
    await secret.waitFor();
    await window.at("filter").fill("");
    await window.at("changed-only").check();
    await window.at("row", { id: "history.max_age" }).waitFor({ state: "detached" });
    await window.picture("console-settings-changed");
    await window.at("warning", { key: "limits.rates" }).locator("a").click();
    await until(async () => (await window.at("row").count()) === 1, "only the setting of the warning");
  });
});

describe("the look", () => {
  const LOOKS = [
    ["light", { colorScheme: "light" }],
    ["dark", { colorScheme: "dark" }],
    ["phone", { colorScheme: "light", ...PHONE }],
    ["phone-dark", { colorScheme: "dark", ...PHONE }],
  ];

  /** What axe finds wrong with the page as it is. */
  async function check(window) {
    // Through the debugger, which the page's content policy does not concern.
    await window.page.evaluate(axe);
    const { violations } = await window.page.evaluate(() => globalThis.axe.run());
    const found = violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
    );
    assert.deepEqual(found, [], window.page.url());
    const [content, screen] = await window.page.evaluate(() => [
      document.documentElement.scrollWidth,
      document.documentElement.clientWidth,
    ]);
    assert.ok(content <= screen, `${window.page.url()} is ${content} pixels wide on a screen of ${screen}`);
  }

  test("the buttons of wide tables stay in view on small screens of laptops", async () => {
    const [ada, grace] = [await member(server, "ada", "narrow"), await member(server, "grace", "narrow")];
    const text = "A message of some length. ".repeat(8);
    const { seq } = await done(ada, "chat:send_message", { room: "narrow", text });
    await done(grace, "chat:report", { room: "narrow", seq, reason: "harassment", text: "rude ".repeat(20) });
    await api("PUT", "/users/mallory/mute", { reason: "spam ".repeat(20) });
    const window = await signedIn();
    for (const width of [1024, 1280, 1366]) {
      await window.page.setViewportSize({ width, height: 800 });
      for (const place of ["audit", "reports", "sanctions?tab=mutes", "connections", "rooms/narrow"]) {
        await window.page.goto(`${server.url}/console#/${place}`);
        await window.at("row").first().waitFor();
        const hidden = await window.page.evaluate(() => {
          const frame = document.querySelector(".table-frame").getBoundingClientRect();
          const buttons = document.querySelectorAll(".table-frame :is(button, summary)");
          return [...buttons].filter((button) => button.getBoundingClientRect().right > frame.right).length;
        });
        assert.equal(hidden, 0, `${place} at ${width}`);
        await window.picture(`console-${place.replaceAll(/\W+/g, "-")}-${width}`);
      }
    }
  });

  describe("with ids of 128 bytes and long texts", () => {
    const long = (name) => name.padEnd(128, name);
    const [author, reader, stranger, room, empty] = ["author", "reader", "stranger", "room", "empty"].map(long);
    const text = "A sentence of some length, and another one. ".repeat(8);
    const FILLED = [
      "overview",
      "rooms",
      `rooms/${room}`,
      `rooms/${room}?tab=messages`,
      `rooms/${room}?tab=bans`,
      `rooms/${room}?tab=mutes`,
      `users/${author}`,
      `users/${author}?tab=sanctions`,
      `users/${author}?tab=connections`,
      `users/${author}?tab=reports`,
      `users/${author}?tab=blocks`,
      "connections",
      "reports",
      "reports?tab=deleted",
      "sanctions",
      "sanctions?tab=mutes",
      `explain?user=${reader}&room=${room}&seq=1`,
      "records",
      "hooks",
      "audit",
      "key",
      "settings",
    ];
    const EMPTY = [`rooms/${empty}?tab=bans`, `rooms/${stranger}`, `users/${stranger}`];
    /** What the set-up of the server says in a few letters, and other servers in many. */
    const STRETCHED = ["node", "device", "address", "actor", "resolvedBy", "sink", "error", "rooms"];

    /** The same value with all strings of these fields made long. */
    function stretch(value, field) {
      if (typeof value === "string") return STRETCHED.includes(field) ? value.padEnd(128, "-and-more") : value;
      if (Array.isArray(value)) return value.map((one) => stretch(one, field));
      if (value === null || typeof value !== "object") return value;
      return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, stretch(one, name)]));
    }

    /** Fills each view with rows whose ids and texts are as long as the server takes them. */
    async function furnish() {
      receiver.status = 500;
      await api("PUT", `/rooms/${empty}`);
      const [a, b] = [await member(server, author, room), await member(server, reader, room)];
      for (let index = 0; index < 3; index += 1) await done(a, "chat:send_message", { room, text });
      for (const seq of [1, 2]) await done(b, "chat:report", { room, seq, reason: "x".repeat(64), text });
      await done(a, "user:block", { userId: stranger });
      const { reports } = await (await api("GET", "/moderation/reports?state=open")).json();
      const { id } = reports.find(({ userId, seq }) => userId === author && seq === 2);
      await api("POST", `/moderation/reports/${id}`, { action: "delete" });
      const banned = [`/users/${stranger}/ban`, `/rooms/${room}/bans/${stranger}`];
      const muted = [`/users/${author}/mute`, `/rooms/${room}/mutes/${author}`];
      for (const path of [...banned, ...muted]) await api("PUT", path, { reason: text });
    }

    /** The view and its tables, if they are wider than their place: `name: pixels too wide`. */
    const tooWide = (window) =>
      window.page.evaluate(() =>
        [...document.querySelectorAll(".view, .table-frame")]
          .filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth)
          .map((one) => `${one.ariaLabel?.slice(0, 20) ?? "view"}: ${one.scrollWidth - one.clientWidth}`),
      );

    test("no table is wider than its place on the screens of laptops", async () => {
      await furnish();
      const window = await open();
      await window.page.route("**/api/v1/**", async (route) => {
        const response = await route.fetch();
        await route.fulfill({ response, json: stretch(await response.json()) });
      });
      await enter(window);
      const faults = [];
      for (const place of [...FILLED, ...EMPTY]) {
        await window.page.goto(`${server.url}/console#/${place}`);
        const row = window.at("row");
        const filled = FILLED.includes(place);
        await (filled ? row : window.page.getByText(/^(Nobody is|No room|No user)/)).first().waitFor();
        for (const summary of await window.page.locator("summary").all()) await summary.click();
        for (const width of [1024, 1280, 1366]) {
          await window.page.setViewportSize({ width, height: 800 });
          const name = place.replace(/(\w{20})\w*/g, "$1").replaceAll(/\W+/g, "-");
          faults.push(...(await tooWide(window)).map((wide) => `${name} at ${width}: ${wide}`));
          await window.picture(`console-long-${name}-${width}`);
        }
      }
      assert.deepEqual(faults, []);
      // Chromium itself writes about the answers of 404.
      window.faults.splice(0).forEach((fault) => assert.match(fault, /status of 404/));
      await window.page.goto(`${server.url}/console#/settings`);
      await window.at("row").first().waitFor();
      await window.page.evaluate(() => (document.querySelector("table").style.minInlineSize = "1400px"));
      assert.equal((await tooWide(window)).length, 1, "the measure finds a table that is too wide");
    });
  });

  for (const [name, options] of LOOKS) {
    test(`axe finds no fault, and nothing is too wide: ${name}`, async () => {
      const ada = await member(server, "ada", "look");
      await member(server, "grace", "look");
      await done(ada, "chat:send_message", { room: "look", text: "A message of some length. ".repeat(8) });
      await api("PUT", "/users/mallory/mute", { reason: "spam" });
      const window = await open(options);
      await check(window);
      await window.picture(`console-sign-in-${name}`);
      await enter(window);
      await window.at("figures").waitFor();
      await check(window);
      await window.picture(`console-overview-${name}`);
      const places = [
        "rooms",
        "rooms/look",
        "rooms/look?tab=messages",
        "users/ada",
        "sanctions?tab=mutes",
        "connections",
        "explain?user=ada&room=look&seq=1",
        "users/ada?tab=connections",
        "hooks",
        "key",
        "audit",
        "settings",
      ];
      for (const place of places) {
        await window.page.goto(`${server.url}/console#/${place}`);
        await window.at("row").first().waitFor();
        await check(window);
        await window.picture(`console-${place.replaceAll(/\W+/g, "-")}-${name}`);
      }
      await window.page.goto(`${server.url}/console#/users/ada`);
      await window.at("ban").click();
      await window.at("ask").waitFor();
      await check(window);
      await window.picture(`console-ban-${name}`);
      await window.page.keyboard.press("Escape");
      await window.at("ask").waitFor({ state: "detached" });
      if (name.startsWith("phone")) {
        await window.at("menu").click();
        await window.at("view-rooms").waitFor();
        await check(window);
        await window.picture(`console-menu-${name}`);
      }
    });
  }
});
