//! Growth: the cost of a delivery with more members, rooms or stored messages. Roomful alone.

use crate::error::BenchError;
use crate::server::Server;
use crate::sqlite;
use crate::workload::traffic::{Load, Traffic, cost};
use crate::workload::{Entrant, Figures, Scene, Workload};

const SHOWN: &[&str] = &[
    "cpu_us_per_delivery",
    "ack_p99_ms",
    "delivery_p99_ms",
    "acked_per_s",
    "server_busy",
    "loader_busy",
];

pub(super) const MEMBERS: Workload = Workload {
    name: "growth-members",
    title: "Growth: members of one room",
    about: "Durable chat in one room, eight messages in flight.",
    entrants: &[
        Entrant::sized("100 members", 100),
        Entrant::sized("1,000 members", 1000),
        Entrant::sized("10,000 members", 10_000),
    ],
    shown: SHOWN,
    clients: 10_000,
    most_rounds: 3,
    long: true,
    measure: |scene| {
        let server = scene.serve()?;
        measure(scene, &server, [scene.entrant.size, 1, scene.entrant.size], 8)
    },
};

pub(super) const ROOMS: Workload = Workload {
    name: "growth-rooms",
    title: "Growth: rooms",
    about: "Durable chat among 1,000 clients; ten members in each room, one message in flight, going round \
        the rooms.",
    entrants: &[
        Entrant::sized("1 room", 1),
        Entrant::sized("100 rooms", 100),
        Entrant::sized("10,000 rooms", 10_000),
    ],
    shown: SHOWN,
    clients: 1000,
    most_rounds: 3,
    long: true,
    measure: |scene| {
        let server = scene.serve()?;
        measure(scene, &server, [1000, scene.entrant.size, 10], 1)
    },
};

pub(super) const STORED: Workload = Workload {
    name: "growth-stored",
    title: "Growth: stored messages",
    about: "Durable chat in 100 rooms of ten, eight messages in flight, over a store that already holds so \
        many messages, 10,000 a room.",
    entrants: &[
        Entrant::sized("none stored", 0),
        Entrant::sized("100,000 stored", 100_000),
        Entrant::sized("10 million stored", 10_000_000),
    ],
    shown: SHOWN,
    clients: 1000,
    most_rounds: 3,
    long: true,
    measure: |scene| {
        let folder = scene.checkout.fresh_folder()?;
        // A quick run shows that the workload runs, not how the cost grows.
        let messages = if scene.pace.quick {
            scene.entrant.size / 100
        } else {
            scene.entrant.size
        };
        sqlite::fill(&folder.path().join("data"), messages)?;
        let server = Server::start(&scene.start(), folder)?;
        measure(scene, &server, [1000, 100, 10], 8)
    },
};

fn measure(
    scene: &Scene<'_>,
    server: &Server,
    [clients, rooms, members]: [usize; 3],
    in_flight: usize,
) -> Result<Figures, BenchError> {
    let connected = scene.connect(server, clients, rooms, members)?;
    let mut traffic = Traffic::new(connected, true);
    cost(server, &mut traffic, Load::Closed(in_flight), scene.pace)
}
