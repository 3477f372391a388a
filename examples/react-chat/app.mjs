// The backend of the React chat: it bundles the app, serves it, and signs tokens.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";

import { mintToken } from "@roomful/server";
import { build } from "esbuild";

const { PORT, ROOMFUL_URL, ROOMFUL_AUTH_SECRET } = process.env;
const page = readFileSync(new URL("index.html", import.meta.url), "utf8").replaceAll(
  "{{ROOMFUL_URL}}",
  ROOMFUL_URL,
);
const { outputFiles } = await build({
  stdin: {
    contents: 'import "@roomful/react/styles.css"; import "./main.jsx";',
    resolveDir: import.meta.dirname,
  },
  outfile: "main.js",
  bundle: true,
  format: "esm",
  jsx: "automatic",
  write: false,
  define: { "process.env.NODE_ENV": '"production"' },
});
const file = (suffix) => outputFiles.find(({ path }) => path.endsWith(suffix)).text;
const FILES = {
  "/": ["text/html; charset=utf-8", page],
  "/main.js": ["text/javascript", file(".js")],
  "/main.css": ["text/css", file(".css")],
};

createServer((request, response) => {
  const url = new URL(request.url, "http://localhost");
  const [type, body] = FILES[url.pathname] ?? [];
  if (body) {
    response.setHeader("content-type", type).end(body);
  } else if (url.pathname === "/chat-token") {
    // In your app, the user comes from the login session, never from the request.
    const user = url.searchParams.get("user") ?? "guest";
    response.end(mintToken(ROOMFUL_AUTH_SECRET, { user, name: user }));
  } else {
    response.writeHead(404).end();
  }
}).listen(Number(PORT), "127.0.0.1", () => console.log(`ready: http://127.0.0.1:${PORT}/?user=alice`));
