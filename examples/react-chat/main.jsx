// The whole app: rooms, a chat and its members.

import { RoomfulClient } from "@roomful/client";
import { Chat, Members, NotificationBell, RoomfulProvider, RoomList } from "@roomful/react";
import { useState } from "react";
import { createRoot } from "react-dom/client";

const user = new URLSearchParams(location.search).get("user") ?? "guest";
const client = new RoomfulClient(window.ROOMFUL_URL, {
  token: () => fetch(`/chat-token?user=${encodeURIComponent(user)}`).then((answer) => answer.text()),
  persistence: "indexeddb",
});

function App() {
  const [room, setRoom] = useState("lobby");
  return (
    <RoomfulProvider client={client}>
      <nav>
        <NotificationBell />
        <RoomList current={room} onOpen={setRoom} />
      </nav>
      <main>
        <Chat room={room} />
      </main>
      <aside>
        <Members room={room} />
      </aside>
    </RoomfulProvider>
  );
}

createRoot(document.querySelector("#app")).render(<App />);
