// The token endpoint as a route handler of Next.js: copy it to app/api/chat-token/route.js of your app.

import { mintToken } from "@roomful/server";

/** Replace this with your own login, such as `auth()` of Auth.js. */
async function signedInUser(request) {
  const [, user] = /(?:^|; )user=([^;]+)/.exec(request.headers.get("cookie") ?? "") ?? [];
  return user && { id: decodeURIComponent(user) };
}

export async function GET(request) {
  const user = await signedInUser(request);
  if (!user) return new Response("Sign in first.", { status: 401 });
  const token = mintToken(process.env.ROOMFUL_AUTH_SECRET, { user: user.id }, 900);
  return new Response(token, { headers: { "cache-control": "no-store" } });
}
