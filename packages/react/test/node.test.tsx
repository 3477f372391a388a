// The parts without a browser: server rendering beside the real server, texts, times, names, Markdown.

import { RoomfulClient } from "@roomful/client";
import { StrictMode } from "react";
import { renderToStaticMarkup, renderToString } from "react-dom/server";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { clientFor, closeClients, until } from "../../client/test/server.ts";
import { startRoomful, type TestRoomful } from "../../testing/src/index.ts";
import {
  Avatar,
  Chat,
  Markdown,
  Members,
  NotificationBell,
  RoomList,
  RoomfulProvider,
  plainText,
  useRoom,
} from "../src/index.ts";
import { Reactions } from "../src/components/reactions.tsx";
import { hue, initials } from "../src/text/face.ts";
import { day, sameDay, shortTime } from "../src/text/times.ts";
import { english } from "../src/text/texts.ts";

let server: TestRoomful;
beforeAll(async () => {
  server = await startRoomful();
});
afterEach(closeClients);
afterAll(() => server?.stop());

const everything = (client: RoomfulClient, texts = {}) =>
  renderToString(
    <StrictMode>
      <RoomfulProvider client={client} texts={texts}>
        <RoomList />
        <NotificationBell />
        <Chat room="lobby" />
        <Members room="lobby" />
      </RoomfulProvider>
    </StrictMode>,
  );

describe("server rendering", () => {
  test("needs no browser and no connection, and takes other texts", () => {
    const client = clientFor(server, "ada");
    const html = everything(client, { loadingMessages: "Nachrichten werden geladen" });
    expect(html).toContain("Nachrichten werden geladen");
    expect(html).toContain('role="feed"');
    expect(client.connection.getSnapshot().state).toBe("idle");
  });

  test("renders the first snapshot, so that a browser can hydrate it with a later client state", async () => {
    const before = everything(clientFor(server, "ada"));
    const client = clientFor(server, "ada");
    client.connect();
    const room = client.room("lobby");
    await room.join();
    await room.send({ text: "hello" }).sent;
    await until(room, ({ messages }) => messages.length === 1);
    expect(everything(client)).toBe(before);
  });

  test("a component without a provider names the missing one", () => {
    const Lost = () => <>{useRoom("lobby")[0].room}</>;
    expect(() => renderToString(<Lost />)).toThrow("RoomfulProvider");
  });
});

test("a reaction is pressed if it is the user's own, also if the list of users does not have them", () => {
  const client = clientFor(server, "ada");
  const html = (mine: boolean) =>
    renderToString(
      <RoomfulProvider client={client} connect={false}>
        <Reactions
          reactions={[{ emoji: "👍", userIds: ["bob"], count: 150, mine }]}
          me="ada"
          names={(id) => id}
          onReact={() => {}}
        />
      </RoomfulProvider>,
    );
  expect(html(true)).toContain('aria-pressed="true"');
  expect(html(false)).toContain('aria-pressed="false"');
});

describe("Markdown", () => {
  const html = (text: string, mentions: string[] = []) =>
    renderToString(<Markdown text={text} mentions={mentions} />).replaceAll("<!-- -->", "");

  test("has emphasis, code, lists, quotes and line breaks", () => {
    expect(html("**a** _b_ ~~c~~ `<d>`")).toBe(
      "<p><strong>a</strong> <em>b</em> <del>c</del> <code>&lt;d&gt;</code></p>",
    );
    expect(html("one\ntwo")).toBe("<p>one<br/>two</p>");
    expect(html("```js\nlet a = '<b>';\n```")).toBe(
      '<pre tabindex="0"><code>let a = &#x27;&lt;b&gt;&#x27;;</code></pre>',
    );
    expect(html("3. a\n4. b")).toBe('<ol start="3"><li>a</li><li>b</li></ol>');
    expect(html("> a")).toBe("<blockquote><p>a</p></blockquote>");
  });

  test.each([
    ["<b onclick=x>a</b>", "<p>&lt;b onclick=x&gt;a&lt;/b&gt;</p>"],
    ["<div>\n*a*\n</div>", "<p>&lt;div&gt;<br/><em>a</em><br/>&lt;/div&gt;</p>"],
    ["<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"],
    ["# a", "<p># a</p>"],
    ["&lt;b&gt;", "<p>&amp;lt;b&amp;gt;</p>"],
    [
      "[a]: http://b",
      '<p>[a]: <a href="http://b/" target="_blank" rel="noopener noreferrer nofollow ugc">http://b</a></p>',
    ],
  ])("shows %j as it was typed", (text, expected) => {
    expect(html(text)).toBe(expected);
  });

  test.each([
    "[a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert(1))",
    "[a](data:text/html,x)",
    "[a](vbscript:x)",
    "[a](/relative)",
    "[a](//host)",
    "<javascript:alert(1)>",
    "![a](javascript:alert(1))",
  ])("makes no link of %j", (text) => {
    expect(html(text)).not.toMatch(/<a|<img/);
  });

  test("links web and mail addresses, shows where a named link leads, and never loads an image", () => {
    expect(html("see https://a.example/b?c=d.")).toContain('href="https://a.example/b?c=d"');
    expect(html("[bank](https://evil.example)")).toContain('title="https://evil.example/"');
    expect(html("<mailto:a@b.example>")).toContain('href="mailto:a@b.example"');
    const image = html("![cat](https://a.example/cat.png)");
    expect(image).not.toContain("<img");
    expect(image).toContain('href="https://a.example/cat.png"');
  });

  test("marks mentions by name, also in emphasis", () => {
    expect(html("**@Ann Lee** @Ann", ["Ann Lee"])).toBe(
      '<p><strong><span class="rf-mention" data-testid="mention">@Ann Lee</span></strong> @Ann</p>',
    );
  });

  test("gives plain text for previews", () => {
    expect(plainText("**a** [b](https://c.example)\n- d `e`")).toBe("a b d e");
    expect(plainText("<b>x</b>")).toBe("<b>x</b>");
  });

  test("survives any text", () => {
    const odd = [
      "*",
      "`",
      "[",
      "](",
      "<",
      ">",
      "\\",
      "\n",
      "- ",
      "> ",
      "```",
      "@a",
      "\u0000",
      "😀",
      "_",
      "~~",
    ];
    let seed = 1;
    const next = () => (seed = (seed * 48_271) % 2_147_483_647);
    for (let i = 0; i < 500; i++) {
      const text = Array.from({ length: 12 }, () => odd[next() % odd.length]).join("");
      expect(html(text, ["a"])).not.toMatch(/<(script|img|iframe|b|i)[\s>]/);
    }
  });
});

describe("faces", () => {
  test("a face shows a picture of the web, and initials for any other URL", () => {
    const html = (src?: string | null) => renderToStaticMarkup(<Avatar userId="ada" name="Ada" src={src} />);
    expect(html("https://x.test/a.png")).toContain('<img src="https://x.test/a.png" alt=""');
    expect(html("https://x.test/a.png")).toContain('referrerPolicy="no-referrer"');
    const others = [
      "javascript:alert(1)",
      "data:image/svg+xml,<svg/>",
      "//x.test/a",
      "/a.png",
      "https://",
      "",
    ];
    for (const other of [...others, null, undefined]) {
      expect(html(other)).not.toContain("<img");
      expect(html(other)).toContain(">A<");
    }
  });

  test("a face beside a name is decoration, and one alone has a text alternative", () => {
    expect(renderToStaticMarkup(<Avatar userId="ada" name="Ada" />)).toContain('aria-hidden="true"');
    const alone = renderToStaticMarkup(<Avatar userId="ada" name="Ada" alt="Ada" />);
    expect(alone).toContain('role="img" aria-label="Ada"');
    expect(alone).not.toContain("aria-hidden");
  });
});

describe("names and times", () => {
  test("initials come from the first and the last word", () => {
    expect(["Ada Lovelace", "ada", "a_b-c", "😀 x", ""].map(initials)).toEqual(["AL", "A", "AC", "😀X", "?"]);
    expect(hue("ada")).toBe(hue("ada"));
    for (const id of ["a", "b", "", "😀"]) expect(hue(id)).toBeLessThan(10);
  });

  test("days have names near today, and dates before", () => {
    const now = new Date(2026, 5, 15, 12).getTime();
    const at = (...date: [number, number, number]) => day(new Date(...date).getTime(), now, english, "en");
    expect([at(2026, 5, 15), at(2026, 5, 14), at(2026, 5, 1), at(2025, 5, 1)]).toEqual([
      "Today",
      "Yesterday",
      "Monday, June 1",
      "Sunday, June 1, 2025",
    ]);
    expect(shortTime(new Date(2026, 5, 15, 9, 5).getTime(), now, "en-GB")).toBe("09:05");
    expect(shortTime(new Date(2026, 5, 1).getTime(), now, "en-GB")).toBe("1 Jun");
    expect(sameDay(now, now + 11 * 3_600_000)).toBe(true);
    expect(sameDay(now, now + 12 * 3_600_000)).toBe(false);
  });

  test("lists of names are bounded", () => {
    expect(english.typing(["Ann"])).toBe("Ann is typing");
    expect(english.typing(["Ann", "Bob"])).toBe("Ann and Bob are typing");
    expect(english.typing(["a", "b", "c", "d"])).toBe("Several people are typing");
    expect(english.readBy(["a", "b", "c", "d"])).toBe("Read by a, b and 2 others");
  });
});
