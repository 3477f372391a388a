// A chat without a framework: this backend serves one page, and signs tokens for it.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";

import { mintToken } from "@roomful/server";

const { PORT, ROOMFUL_URL, ROOMFUL_AUTH_SECRET } = process.env;
const page = readFileSync(new URL("index.html", import.meta.url), "utf8").replaceAll(
  "{{ROOMFUL_URL}}",
  ROOMFUL_URL,
);
// The stock client. A page can also load it from a CDN, or bundle it.
const client = readFileSync(fileURLToPath(import.meta.resolve("socket.io-client/dist/socket.io.js")));

createServer((request, response) => {
  const url = new URL(request.url, "http://localhost");
  if (url.pathname === "/") {
    response.setHeader("content-type", "text/html; charset=utf-8").end(page);
  } else if (url.pathname === "/socket.io.js") {
    response.setHeader("content-type", "text/javascript").end(client);
  } else if (url.pathname === "/chat-token") {
    // In your app, the user comes from the login session, never from the request.
    const user = url.searchParams.get("user") ?? "guest";
    response.end(mintToken(ROOMFUL_AUTH_SECRET, { user, name: user }));
  } else {
    response.writeHead(404).end();
  }
}).listen(Number(PORT), "127.0.0.1", () => console.log(`ready: http://127.0.0.1:${PORT}/?user=alice`));
