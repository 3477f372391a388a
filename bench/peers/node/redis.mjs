// Socket.IO's two Redis adapters, as in its documentation: one connection publishes, one subscribes.

import { createAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";

// `classic` receives all rooms of a namespace by one pattern; `sharded` subscribes to each room with a
// local socket.
export async function adapter(url, name) {
  const publisher = createClient({ url });
  const listener = publisher.duplicate();
  await Promise.all([publisher.connect(), listener.connect()]);
  return name === "sharded"
    ? createShardedAdapter(publisher, listener, { subscriptionMode: "dynamic" })
    : createAdapter(publisher, listener);
}
