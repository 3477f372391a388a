// Serves the route handler as Next.js does, so that this example runs without Next.js.

import { createServer } from "node:http";

import { GET } from "./app/api/chat-token/route.js";

const { PORT } = process.env;

createServer(async (request, response) => {
  if (request.method !== "GET" || request.url !== "/api/chat-token") return response.writeHead(404).end();
  const answer = await GET(
    new Request(`http://127.0.0.1:${PORT}${request.url}`, { headers: request.headers }),
  );
  response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(await answer.text());
}).listen(Number(PORT), "127.0.0.1", () => console.log(`ready: http://127.0.0.1:${PORT}/api/chat-token`));
