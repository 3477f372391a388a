//! Durable chat: a token at connect, and each message on disk before its ack. Roomful's bare fan-out is a
//! reference.

use crate::workload::traffic::in_rooms;
use crate::workload::{Entrant, Workload};

const SHOWN: &[&str] = &[
    "cpu_us_per_delivery",
    "acked_per_s",
    "ack_p99_ms",
    "delivery_p99_ms",
    "server_busy",
    "loader_busy",
];
const CLIENTS: usize = 1000;

const ENTRANTS: &[Entrant] = &[
    Entrant::bare("roomful-socket"),
    Entrant::chat("roomful"),
    Entrant::chat("node"),
    Entrant::chat("bun"),
];

pub(super) const ONE: Workload = Workload {
    name: "chat-one-room",
    title: "Chat, durable: 1 room × 1,000",
    about: "1,000 authenticated clients in one room, eight messages in flight. A message counts when its \
        sender has the ack and all members have the message.",
    entrants: ENTRANTS,
    shown: SHOWN,
    clients: CLIENTS,
    most_rounds: usize::MAX,
    long: false,
    measure: |scene| in_rooms(scene, 1, CLIENTS, 8),
};

pub(super) const ROOMS: Workload = Workload {
    name: "chat-rooms",
    title: "Chat, durable: 100 rooms × 10",
    about: "1,000 authenticated clients, ten in each of 100 rooms, 100 messages in flight.",
    entrants: ENTRANTS,
    shown: SHOWN,
    clients: CLIENTS,
    most_rounds: usize::MAX,
    long: false,
    measure: |scene| in_rooms(scene, 100, 10, 100),
};
