// Socket.IO's two adapters for Redis, as its documentation sets them up: one connection that publishes, one that hears.

import { createAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";

// `classic` hears all rooms of a namespace by one pattern; `sharded` subscribes to each room that has a socket here.
export async function adapter(url, name) {
  const publisher = createClient({ url });
  const listener = publisher.duplicate();
  await Promise.all([publisher.connect(), listener.connect()]);
  return name === "sharded"
    ? createShardedAdapter(publisher, listener, { subscriptionMode: "dynamic" })
    : createAdapter(publisher, listener);
}
