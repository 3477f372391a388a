// The chat page in a real Chromium: users in separate windows, on the real server in dev mode.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";

import { Window, launch } from "./lib/browser.mjs";
import { done, leaveAll, member } from "./lib/people.mjs";
import { API_KEY, Roomful } from "./lib/process.mjs";
import { until } from "./lib/waiting.mjs";

let server;
let browser;
const windows = [];
before(async () => {
  server = await Roomful.start({
    args: ["--dev"],
    env: { ROOMFUL__PRESENCE__GRACE: "500ms", ROOMFUL_LIMITS: "off" },
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
});

/** Calls the HTTP API. */
async function api(method, path, body) {
  const headers = { authorization: `Bearer ${API_KEY}`, "content-type": "application/json" };
  const answer = await fetch(`${server.url}/api/v1${path}`, {
    method,
    headers,
    body: JSON.stringify(body),
  });
  assert.ok(answer.ok, `${answer.status} ${await answer.text()}`);
}

async function signIn(name, room, options) {
  const window = await Window.signIn(browser, server, name, room, options);
  windows.push(window);
  return window;
}

describe("two people in two windows", () => {
  test("see each other, write to each other, and see read marks", async () => {
    const ada = await signIn("Ada", "tea");
    const grace = await signIn("Grace", "tea");
    for (const window of [ada, grace]) {
      await window.at("online-user").nth(1).waitFor({ state: "attached" });
      const names = (await window.at("online-user").allInnerTexts()).join(" ");
      assert.match(names, /Ada/);
      assert.match(names, /Grace/);
    }

    await ada.at("composer").pressSequentially("Hello Gr");
    await grace.at("typing").filter({ hasText: "Ada" }).waitFor();
    await ada.at("composer").fill("");
    await ada.say("Hello Grace 👋");
    await (await ada.message("Hello Grace 👋", { own: "true", state: "sent", seq: 1 })).waitFor();
    const received = await grace.message("Hello Grace 👋", { own: "false", seq: 1 });
    assert.match(await received.innerText(), /Ada/);
    await until(async () => (await grace.at("typing").innerText()).trim() === "", "the typing line to end");

    await grace.say("Hello Ada");
    await grace.say("How are you?");
    await ada.message("How are you?", { own: "false", seq: 3 });
    await ada.say("Fine!");
    await ada.at("read-by").filter({ hasText: "Grace" }).waitFor();
    assert.equal(await ada.at("message").count(), 4);
    await ada.picture("light");
  });

  test("a user in another room sees a badge until they open the room", async () => {
    const ada = await signIn("Ada", "news");
    const grace = await signIn("Grace", "news");
    await grace.enter("elsewhere");
    await ada.say("one");
    await ada.say("two");
    const badge = grace.at("room-item", { room: "news" }).locator('[data-testid="unread-badge"]');
    await badge.filter({ hasText: /^2$/ }).waitFor();
    await grace.at("room-item", { room: "news" }).locator("a").click();
    await grace.message("two");
    await badge.waitFor({ state: "hidden" });
    await ada.at("read-by").filter({ hasText: "Grace" }).waitFor();
  });

  test("a user who closes the window goes offline", async () => {
    const ada = await signIn("Ada", "door");
    const grace = await signIn("Grace", "door");
    await ada.at("online-user").filter({ hasText: "Grace" }).waitFor({ state: "attached" });
    await grace.page.close();
    await ada.at("online-user").filter({ hasText: "Grace" }).waitFor({ state: "detached" });
  });
});

describe("editing, deleting, reacting", () => {
  test("the author can edit and delete a message, and others see it at once and after a reload", async () => {
    const ada = await signIn("Ada", "drafts");
    const grace = await signIn("Grace", "drafts");
    await ada.say("a mispelt word");
    await ada.say("a word too much");
    const line = await ada.message("a mispelt word", { state: "sent" });
    await line.hover();
    await ada.picture("actions");
    await line.getByRole("button", { name: "Edit" }).click();
    await ada.at("edit-field").fill("never mind");
    await ada.at("edit-field").press("Escape");
    await ada.message("a mispelt word");
    assert.equal(await ada.at("edit-field").count(), 0);
    // The same by keyboard: the message has the focus again, and Tab moves to the toolbar: react, reply,
    // edit.
    await ada.page.keyboard.press("Tab");
    await ada.page.keyboard.press("Tab");
    await ada.page.keyboard.press("Tab");
    await ada.page.keyboard.press("Enter");
    await ada.at("edit-field").fill("a well spelt <b>word</b>");
    await ada.picture("editing");
    await ada.at("edit-field").press("Enter");
    for (const window of [ada, grace]) {
      const edited = await window.message("a well spelt <b>word</b>", { seq: 1 });
      await edited.locator('[data-testid="edited"]').waitFor();
      assert.equal(await edited.locator("b").count(), 0);
    }

    const doomed = await ada.message("a word too much", { state: "sent" });
    await doomed.hover();
    await doomed.getByRole("button", { name: "Delete" }).click();
    await ada.at("delete-keep").click();
    await doomed.getByRole("button", { name: "Delete" }).click();
    await ada.at("delete-sure").click();
    for (const window of [ada, grace]) {
      await window.message("This message was deleted", { seq: 2 });
      assert.equal(await window.at("message").filter({ hasText: "a word too much" }).count(), 0);
    }
    await grace.at("message", { seq: 1 }).hover();
    assert.equal(await grace.at("edit").count(), 0, "others' messages can be edited");
    await grace.page.reload();
    await grace.message("a well spelt", { seq: 1 });
    await grace.message("This message was deleted", { seq: 2 });
  });

  test("reactions are counted, stored, and removed", async () => {
    const ada = await signIn("Ada", "signs");
    const grace = await signIn("Grace", "signs");
    await ada.say("Cake in the kitchen");
    const line = await grace.message("Cake in the kitchen", { seq: 1 });
    await line.hover();
    await grace.at("react").click();
    await grace.picture("picker");
    await grace.at("sign").filter({ hasText: "🎉" }).click();
    const chip = (window) => window.at("reaction", { emoji: "🎉" });
    await chip(ada).filter({ hasText: "1" }).click();
    await chip(grace).filter({ hasText: "2" }).waitFor();
    assert.match(await chip(grace).getAttribute("aria-label"), /2: you, Ada/);
    assert.equal(await chip(grace).getAttribute("aria-pressed"), "true");
    await grace.picture("reactions");
    await grace.page.reload();
    await chip(grace).filter({ hasText: "2" }).click();
    await chip(ada).filter({ hasText: "1" }).click();
    await chip(grace).waitFor({ state: "detached" });
  });

  test("a message that mentions the user is highlighted", async () => {
    const writer = await member(server, "writer", "calls");
    const ada = await signIn("Ada", "calls");
    const userId = await ada.at("online-user").filter({ hasText: "Ada" }).getAttribute("data-user");
    await done(writer, "chat:send_message", { room: "calls", text: "for Ada", mentions: [userId] });
    await done(writer, "chat:send_message", { room: "calls", text: "for all" });
    await ada.message("for Ada", { mentioned: "true" });
    await ada.message("for all", { mentioned: "false" });
  });

  test("a user who was disconnected sees missed messages and deletions", async () => {
    const writer = await member(server, "writer", "island");
    await done(writer, "chat:send_message", { room: "island", text: "before" });
    const ada = await signIn("Ada", "island");
    await ada.message("before");
    await ada.context.setOffline(true);
    await ada.at("connection-state", { state: "offline" }).waitFor();
    for (const text of ["one", "two", "three"])
      await done(writer, "chat:send_message", { room: "island", text });
    await done(writer, "chat:edit_message", { room: "island", seq: 2, text: "one, rewritten" });
    await done(writer, "chat:delete_message", { room: "island", seq: 1 });
    await ada.context.setOffline(false);
    await ada.at("new-line").filter({ hasText: "You were away: 3 missed" }).waitFor();
    await ada.message("This message was deleted", { seq: 1 });
    await ada.message("one, rewritten (edited)", { seq: 2 });
    assert.equal(await ada.at("message").count(), 4);
    await ada.picture("away");
  });

  test("a user who slept through a server crash sees missed messages without a reload", async () => {
    const writer = await member(server, "writer", "crash");
    const ada = await signIn("Ada", "crash");
    await done(writer, "chat:send_message", { room: "crash", text: "before" });
    await ada.message("before");
    await ada.page.evaluate(() => (window.unreloaded = true));
    await ada.context.setOffline(true);
    await ada.at("connection-state", { state: "offline" }).waitFor();
    await done(writer, "chat:send_message", { room: "crash", text: "before the crash" });
    await server.end("SIGKILL");
    await server.restart();
    const after = await member(server, "writer", "crash");
    await done(after, "chat:send_message", { room: "crash", text: "after the crash" });
    await ada.context.setOffline(false);
    await ada.at("new-line").filter({ hasText: "You were away: 2 missed" }).waitFor();
    await ada.message("after the crash", { seq: 3 });
    assert.equal(await ada.at("message").count(), 3);
    assert.equal(await ada.page.evaluate(() => window.unreloaded), true);
  });
});

describe("status", () => {
  test("is set in a menu, reaches other users and pages, and survives a reload", async () => {
    const vera = await signIn("Vera", "moods");
    const second = await signIn("Vera", "moods");
    const grace = await signIn("Grace", "moods");
    const seen = (window, name) => window.at("online-user").filter({ hasText: name });
    await seen(grace, "Vera").waitFor({ state: "attached" });
    await vera.at("status-button").click();
    await vera.at("status-text").fill("  Out for   lunch ");
    await vera.at("statuses").waitFor();
    await vera.picture("status-menu");
    await vera.at("status-option", { status: "away" }).click();
    await seen(grace, "Away · Out for lunch")
      .and(grace.at("online-user", { status: "away" }))
      .waitFor({ state: "attached" });
    for (const window of [vera, second])
      await window.at("connection-state").filter({ hasText: "Away · Out for lunch" }).waitFor();
    await grace.picture("status-others");

    // By keyboard: change only the text; Escape changes nothing.
    await second.at("status-button").press("Enter");
    assert.equal(await second.at("status-text").inputValue(), "Out for lunch");
    assert.equal(await second.at("status-option", { status: "away" }).getAttribute("aria-pressed"), "true");
    await second.at("status-text").fill("Back at three");
    await second.at("status-text").press("Enter");
    await seen(grace, "Away · Back at three").waitFor({ state: "attached" });
    await second.at("status-button").press("Enter");
    await second.at("status-text").fill("never mind");
    await second.at("status-text").press("Escape");
    await second.at("statuses").waitFor({ state: "hidden" });
    await vera.page.reload();
    await vera.at("connection-state").filter({ hasText: "Away · Back at three" }).waitFor();
    await vera.at("status-button").click();
    await vera.at("status-clear").click();
    await vera
      .at("connection-state")
      .filter({ hasText: /^Away$/ })
      .waitFor();
  });

  test("can be invisible: the user disappears from others' lists and can still write", async () => {
    const iris = await signIn("Iris", "shadows");
    const grace = await signIn("Grace", "shadows");
    const her = grace.at("online-user").filter({ hasText: "Iris" });
    await her.waitFor({ state: "attached" });
    await iris.at("status-button").click();
    await iris.at("status-option", { status: "invisible" }).click();
    await her.waitFor({ state: "detached" });
    await iris.at("connection-state").filter({ hasText: "Invisible" }).waitFor();
    await iris.say("boo");
    await grace.message("boo");
    await iris.page.reload();
    await iris.at("connection-state").filter({ hasText: "Invisible" }).waitFor();
    assert.equal(await her.count(), 0);
    await iris.at("status-button").click();
    await iris.at("status-option", { status: "online" }).click();
    await her.waitFor({ state: "attached" });
  });

  test("has a menu that fits a narrow screen and dark mode", async () => {
    const nora = await signIn("Nora", undefined, {
      viewport: { width: 360, height: 740 },
      colorScheme: "dark",
    });
    await nora.at("open-rooms").click();
    await nora.at("status-button").click();
    const box = await nora.at("statuses").boundingBox();
    assert.ok(box.x >= 0 && box.y >= 0 && box.x + box.width <= 360, JSON.stringify(box));
    await nora.picture("status-narrow-dark");
    await nora.at("status-option", { status: "busy" }).click();
    await nora.at("connection-state").filter({ hasText: "Busy" }).waitFor();
  });
});

test("a reply quotes its message and leads to it", async () => {
  const ada = await signIn("Ada", "replies");
  const grace = await signIn("Grace", "replies");
  await ada.say("Shall we meet at **four**?");
  const question = await grace.message("Shall we meet at four?", { seq: 1 });
  await question.hover();
  await question.getByTestId("reply").click();
  await grace.at("replying").filter({ hasText: "Replying to Ada" }).waitFor();
  await grace.say("Five is better");
  const answer = await ada.message("Five is better", { seq: 2 });
  await answer.getByTestId("quote").filter({ hasText: "Shall we meet at four?" }).click();
  await ada.page.locator('[data-marked="true"]').filter({ hasText: "Shall we meet" }).waitFor();
});

test("the page runs under a policy without inline scripts, and no message breaks it", async () => {
  const answer = await fetch(server.url);
  const policy = answer.headers.get("content-security-policy");
  assert.match(policy, /default-src 'self'/);
  assert.doesNotMatch(policy, /unsafe/);
  assert.doesNotMatch(await answer.text(), /<script(?![^>]* src=)/);
  const ada = await signIn("Ada", "policy");
  await ada.say(
    "[a](javascript:alert(1)) <script>document.title = 1</script> ![x](https://example.com/x.png)",
  );
  const message = await ada.message("<script>document.title = 1</script>", { state: "sent" });
  assert.equal(await message.locator("script, img").count(), 0);
  const links = await message.locator("a").evaluateAll((all) => all.map((link) => link.protocol));
  assert.deepEqual(links, ["https:"]);
});

describe("mentions", () => {
  test("an @ offers names to choose by keyboard, and the mentioned user is notified", async () => {
    const ada = await signIn("Ada", "names");
    const grace = await signIn("Grace Hopper", "names");
    const greta = await signIn("Greta", "names");
    await ada.at("online-user").nth(2).waitFor({ state: "attached" });
    await ada.at("composer").pressSequentially("Hello @gr");
    await ada.at("mention-option").nth(1).waitFor();
    assert.deepEqual(
      (await ada.at("mention-option").allInnerTexts()).map((text) => text.split("\n").at(-1)).sort(),
      ["Grace Hopper", "Greta"],
    );
    await ada.picture("mention-list");
    const first = await ada.at("mention-option").first().getAttribute("data-user");
    await ada.at("composer").press("ArrowDown");
    const chosen = ada.page.locator('[data-testid="mention-option"][aria-selected="true"]');
    assert.notEqual(await chosen.getAttribute("data-user"), first);
    assert.equal(
      await ada.at("composer").getAttribute("aria-activedescendant"),
      await chosen.getAttribute("id"),
    );
    await ada.at("composer").press("ArrowUp");
    await ada.at("composer").press("Escape");
    await ada.at("mention-list").waitFor({ state: "hidden" });
    assert.equal(await ada.at("composer").inputValue(), "Hello @gr");
    await ada.at("composer").fill("Hello ");
    await ada.at("composer").pressSequentially("@hop");
    await ada.at("mention-option").filter({ hasText: "Grace Hopper" }).waitFor();
    await ada.at("composer").press("Enter");
    assert.equal(await ada.at("composer").inputValue(), "Hello @Grace Hopper ");
    await ada.at("composer").pressSequentially("and @all, mail me at ada@gr");
    assert.ok(await ada.at("mention-list").isHidden());
    await ada.at("composer").press("Enter");
    await grace.message("Hello @Grace Hopper and @all", { mentioned: "true" });
    await greta.message("Hello @Grace Hopper and @all", { mentioned: "false" });
    for (const window of [ada, grace, greta])
      assert.deepEqual(await window.at("mention").allInnerTexts(), ["@Grace Hopper"]);
    await grace.picture("mentioned");
  });

  test("a name can be chosen with the pointer, also on a narrow screen", async () => {
    const greta = await signIn("Greta", "pocketful");
    const ada = await signIn("Ada", undefined, { viewport: { width: 360, height: 740 } });
    await ada.at("open-rooms").click();
    await ada.enter("pocketful");
    await ada.at("composer").pressSequentially("@");
    await ada.at("mention-option").filter({ hasText: "Greta" }).waitFor();
    await ada.picture("mention-narrow");
    await ada.at("mention-option").filter({ hasText: "Greta" }).click();
    await ada.at("composer").pressSequentially("look");
    await ada.at("composer").press("Enter");
    await greta.message("@Greta look", { mentioned: "true" });
  });
});

test("rooms joined on another device appear in the list, with unread and mention counts", async () => {
  const ada = await signIn("Ada", "desk");
  const userId = await ada.at("online-user").first().getAttribute("data-user");
  await api("PUT", "/rooms/board", { kind: "private" });
  await api("PUT", `/rooms/board/members/${userId}`, {});
  await api("POST", "/rooms/board/messages", { userId: "chair", text: "Welcome" });
  const board = ada.at("room-item", { room: "board" });
  await board.getByTestId("unread-badge").filter({ hasText: /^1$/ }).waitFor();
  await api("POST", "/rooms/board/messages", { userId: "chair", text: "Ada, please", mentions: [userId] });
  await board.getByTestId("unread-badge").filter({ hasText: /^2$/ }).waitFor();
  await board.getByTestId("mention-badge").waitFor();
  await ada.picture("inbox");
  // A new page learns of it from the inbox.
  await ada.page.reload();
  await board.getByTestId("unread-badge").filter({ hasText: /^2$/ }).waitFor();
  await board.getByTestId("mention-badge").waitFor();
  await board.click();
  await ada.message("Ada, please");
  await board.getByTestId("unread-badge").waitFor({ state: "hidden" });
});

test("the bell shows notifications, live and after a reload, until any page reads them", async () => {
  const ada = await signIn("Ada", "post");
  const other = await signIn("Ada", "post");
  const userId = await ada.at("online-user").first().getAttribute("data-user");
  const notify = (title) =>
    api("POST", "/notifications", { userIds: [userId], kind: "parcel", title, body: "<i>Fetch</i> it" });
  assert.ok(await ada.at("bell-badge").isHidden());
  await notify("A parcel");
  await notify("A letter");
  for (const window of [ada, other]) await window.at("bell-badge").filter({ hasText: /^2$/ }).waitFor();
  await ada.page.reload();
  await ada.page.getByRole("button", { name: "Notifications, 2 unread" }).click();
  assert.deepEqual(
    (await ada.at("notice").allInnerTexts()).map((text) => text.split("\n")[0]),
    ["A letter", "A parcel"],
  );
  assert.equal(await ada.at("notices").locator("i").count(), 0);
  await ada.picture("bell");
  await ada.at("notice", { unread: "true" }).first().click();
  for (const window of [ada, other]) await window.at("bell-badge").filter({ hasText: /^1$/ }).waitFor();
  await ada.page.keyboard.press("Escape");
  await ada.at("notices").waitFor({ state: "hidden" });
  await other.at("bell").click();
  await other.at("read-all").click();
  for (const window of [ada, other]) await window.at("bell-badge").waitFor({ state: "hidden" });
});

describe("moderation", () => {
  /** Grace, who is a member of the room, and Ada, who moderates it. */
  async function moderated(room) {
    const grace = await signIn("Grace", room);
    await grace.say("Buy my things");
    await grace.message("Buy my things", { state: "sent" });
    const ada = await signIn("Ada", "hall");
    const userId = await ada.at("online-user").filter({ hasText: "Ada" }).getAttribute("data-user");
    await api("PUT", `/rooms/${room}/members/${userId}`, { role: "moderator" });
    return { grace, ada };
  }

  test("a moderator mutes a member and freezes the room; members read why they may not write", async () => {
    const { grace, ada } = await moderated("court");
    await ada.enter("court");
    await ada.at("room-controls").waitFor();
    const line = await ada.message("Buy my things");
    await line.hover();
    await line.getByTestId("menu").click();
    await ada.at("mute").click();
    await ada.at("sanction-reason").fill("No advertising");
    await ada.picture("mute");
    await ada.at("sanction-reason").press("Enter");
    const note = grace.at("writing-note");
    await note.filter({ hasText: /You are muted in this room until .*Reason: No advertising/ }).waitFor();
    assert.ok(await grace.at("composer").isDisabled());
    await grace.picture("muted");
    await ada.at("online-user").filter({ hasText: "Grace" }).getByTestId("menu").click();
    await ada.at("unmute").click();
    await note.waitFor({ state: "detached" });
    await ada.at("freeze").check();
    await note.filter({ hasText: "This room is frozen" }).waitFor();
    await ada.say("Moderators can still write");
    await grace.message("Moderators can still write");
    await ada.at("freeze").uncheck();
    await note.waitFor({ state: "detached" });
    await grace.say("Sorry");
    await ada.message("Sorry");
  });

  test("a moderator bans a member on a narrow screen; the room leaves the member's list", async () => {
    const { grace } = await moderated("yard");
    const ada = await signIn("Ada", undefined, { viewport: { width: 360, height: 740 } });
    await ada.at("open-rooms").click();
    await ada.enter("yard");
    await ada.at("open-people").click();
    await ada.picture("narrow-people");
    await ada.at("online-user").filter({ hasText: "Grace" }).getByTestId("menu").click();
    await ada.at("menu-list").waitFor();
    await ada.picture("narrow-menu");
    await ada.at("ban").click();
    await ada.at("sanction-duration").selectOption({ label: "1 day" });
    await ada.at("sanction-reason").fill("Enough");
    await ada.picture("narrow-ban");
    await ada.at("sanction-submit").click();
    await ada.at("sanction").waitFor({ state: "detached" });
    const reason = /You are banned from yard until .*Reason: Enough/;
    await grace.at("refused").filter({ hasText: reason }).waitFor();
    await grace.at("removal", { room: "yard" }).filter({ hasText: reason }).waitFor();
    await grace.at("room-item", { room: "yard" }).waitFor({ state: "detached" });
    await grace.picture("banned");
  });
});

test("a message written while the server is away is sent once when it is back", async () => {
  const ada = await signIn("Ada", "storm");
  const grace = await signIn("Grace", "storm");
  await ada.say("before");
  await grace.message("before");
  await server.end("SIGKILL");
  await ada.at("banner").waitFor();
  await ada.picture("offline");
  await ada.say("during");
  await ada.message("during", { own: "true", state: "sending" });
  await server.restart();
  await ada.message("during", { own: "true", state: "sent", seq: 2 });
  await ada.at("banner").waitFor({ state: "hidden" });
  await grace.message("during", { seq: 2 });
  await ada.say("after");
  await grace.message("after", { seq: 3 });
  assert.deepEqual(
    await Promise.all([ada, grace].map((window) => window.at("message").count())),
    [3, 3],
    "a message is there twice, or missing",
  );
});

test("a reload keeps user and room", async () => {
  const ada = await signIn("Ada", "garden");
  await ada.say("kept");
  await ada.message("kept", { state: "sent" });
  await ada.page.reload();
  await ada.message("kept", { own: "true" });
  await ada.at("me").filter({ hasText: "Ada" }).waitFor({ state: "attached" });
});

test("scrolling up loads older messages without duplicates", async () => {
  const writer = await member(server, "writer", "archive");
  for (let i = 1; i <= 400; i++) {
    await done(writer, "chat:send_message", { room: "archive", text: `entry ${i}` });
  }
  const ada = await signIn("Ada", "archive");
  await ada.message("entry 400");
  assert.equal(await ada.at("message", { seq: 1 }).count(), 0, "all of history was loaded at once");
  await until(async () => {
    await ada.at("scroller").evaluate((element) => element.scrollTo(0, 0));
    return (await ada.at("message", { seq: 1 }).count()) === 1;
  }, "the first message");
  const seqs = await ada
    .at("message")
    .evaluateAll((all) => all.map((element) => Number(element.dataset.seq)));
  assert.deepEqual(
    seqs,
    [...seqs].sort((a, b) => a - b),
  );
  assert.equal(new Set(seqs).size, seqs.length);
});

test("text is text, never markup", async () => {
  const ada = await signIn("Ada", "markup");
  const evil =
    '<img src=x onerror="document.title=1"> <b>bold</b> javascript:alert(1) https://example.com/a?b=c';
  await ada.say(evil);
  const message = await ada.message("<b>bold</b>");
  assert.equal(await message.locator("img, b").count(), 0);
  const links = await message
    .locator("a")
    .evaluateAll((all) => all.map((link) => link.getAttribute("href")));
  assert.deepEqual(links, ["https://example.com/a?b=c"]);
  assert.notEqual(await ada.page.title(), "1");
});

test("light and dark mode differ, and the choice survives a reload", async () => {
  const ada = await signIn("Ada", "night", { colorScheme: "light" });
  await ada.say("Good night");
  await ada.message("Good night", { state: "sent" });
  const background = () => ada.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const theme = () => ada.page.evaluate(() => document.documentElement.dataset.theme);
  const light = await background();
  await until(async () => {
    if ((await theme()) === "dark") return true;
    await ada.at("theme-toggle").click();
    return false;
  }, "the dark theme");
  assert.notEqual(await background(), light);
  await ada.page.reload();
  await ada.message("Good night");
  assert.equal(await theme(), "dark");
  await ada.picture("dark");
});

test("a narrow screen needs no horizontal scrolling", async () => {
  const ada = await signIn("Ada", undefined, { viewport: { width: 360, height: 740 } });
  const opener = ada.at("open-rooms");
  if (await opener.isVisible()) await opener.click();
  await ada.picture("narrow-rooms");
  await ada.enter("pocket");
  await ada.say(`a long word: ${"x".repeat(300)}`);
  await ada.message("a long word", { state: "sent" });
  const [content, screen] = await ada.page.evaluate(() => [
    document.documentElement.scrollWidth,
    innerWidth,
  ]);
  assert.ok(content <= screen, `${content} px wide on a screen of ${screen}`);
  assert.ok(await ada.at("composer").isVisible());
  await ada.picture("narrow");
});

test("every control has an accessible name, and the messages are a live log", async () => {
  const ada = await signIn("Ada", "ear");
  const nameless = await ada.page.locator("button, input, textarea, a").evaluateAll((all) =>
    all
      .filter((element) => element.checkVisibility())
      .filter((element) => {
        const label = element.labels?.[0]?.innerText;
        return !(element.getAttribute("aria-label") ?? label ?? element.innerText ?? "").trim();
      })
      .map((element) => element.outerHTML),
  );
  assert.deepEqual(nameless, []);
  assert.equal(await ada.page.getByRole("log").count(), 1);
  assert.equal(await ada.page.getByRole("main").count(), 1);
});

test("built files are hashed, compressed and cached for ever; the page itself is not", async () => {
  const page = await fetch(server.url);
  assert.equal(page.status, 200);
  assert.doesNotMatch(page.headers.get("cache-control") ?? "", /immutable/);
  const script = (await page.text()).match(/src="([^"]+\.js)"/)?.[1];
  assert.match(script, /-[\w-]{8,}\.js$/);
  const answer = await fetch(new URL(script, server.url), { headers: { "accept-encoding": "br, gzip" } });
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get("cache-control"), /immutable/);
  assert.match(answer.headers.get("content-encoding"), /^(br|gzip)$/);
  const tag = answer.headers.get("etag");
  assert.ok(tag);
  const again = await fetch(new URL(script, server.url), {
    headers: { "if-none-match": tag, "accept-encoding": "br, gzip" },
  });
  assert.equal(again.status, 304);
});
