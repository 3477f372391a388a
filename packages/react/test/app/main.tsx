// A small chat app in strict mode. The address says who the user is and which room opens.

import { RoomfulClient } from "@roomful/client";
import { StrictMode, useState, version } from "react";
import { createRoot } from "react-dom/client";

import { Chat, Members, NotificationBell, RoomList, RoomfulProvider } from "../../src/index.ts";
import "../../src/styles/index.css";

const params = new URLSearchParams(location.search);
const token = params.get("token") ?? "";
const client = new RoomfulClient(params.get("server") ?? location.origin, {
  token: async () => token,
  persistence: "indexeddb",
  profile: params.get("user") ?? "",
});
document.documentElement.dir = params.get("dir") ?? "ltr";
document.documentElement.dataset["react"] = version;
Object.assign(window, { client });

function App() {
  const [room, setRoom] = useState<string | undefined>(params.get("room") ?? "lobby");
  Object.assign(window, { open: setRoom });
  return (
    <div className="app">
      <header>
        <h1>{room ?? "Rooms"}</h1>
        <NotificationBell />
      </header>
      <aside aria-label="Rooms">
        <RoomList current={room} onOpen={setRoom} />
      </aside>
      <main style={{ minHeight: 0 }}>{room !== undefined && <Chat room={room} />}</main>
      <aside aria-label="Members">{room !== undefined && <Members room={room} />}</aside>
    </div>
  );
}

const root = document.getElementById("root");
if (root)
  createRoot(root).render(
    <StrictMode>
      <RoomfulProvider client={client}>
        <App />
      </RoomfulProvider>
    </StrictMode>,
  );
