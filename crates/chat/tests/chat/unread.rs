//! Unread counts over real sockets: several devices of several users send, edit, delete and read at the same
//! time. Whenever they pause, all acks and events must agree with a naive count.
//!
//! A seed determines what each device does, but not how they interleave. A failure prints its seed: run it
//! again a few times with `UNREAD_SEED=…`.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use futures_util::future::join_all;
use parking_lot::Mutex;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use roomful_testkit::{PATIENCE, SioClient};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::fixture::{Server, ok, send, settle};

const USERS: [&str; 3] = ["alice", "bob", "carol"];
const ROOMS: [&str; 2] = ["den", "hall"];
/// A room in which only the clerk sends: once its count reaches a device, so have all earlier counts.
const MARKER: &str = "marker";
const ROUNDS: u64 = 30;
/// The number of actions of each device in a round.
const STEPS: usize = 6;

/// Unread messages, and those among them that mention the user.
type Counts = (u64, u64);

/// The expected content of a room, by its acks.
#[derive(Default)]
struct Log {
    said: BTreeMap<u64, Said>,
    marks: HashMap<&'static str, u64>,
}

struct Said {
    by: &'static str,
    mentions: Vec<&'static str>,
    deleted: bool,
}

impl Log {
    fn mark(&self, user: &str) -> u64 {
        self.marks.get(user).copied().unwrap_or_default()
    }

    fn counts(&self, user: &str) -> Counts {
        let beyond = self.said.range(self.mark(user) + 1..).map(|(_, said)| said);
        let unread: Vec<_> = beyond.filter(|said| said.by != user && !said.deleted).collect();
        let mentions = unread.iter().filter(|said| said.mentions.contains(&user));
        (unread.len() as u64, mentions.count() as u64)
    }

    fn newest(&self) -> u64 {
        self.said.keys().next_back().copied().unwrap_or_default()
    }
}

type Model = Mutex<HashMap<&'static str, Log>>;

/// A socket of a user. Each user's first socket is in all rooms, the second in one, the third in none.
struct Device {
    user: &'static str,
    client: SioClient,
    rooms: Vec<&'static str>,
    dice: Mutex<StdRng>,
    /// The last counts it got for rooms that it has not joined.
    told: Mutex<HashMap<String, Counts>>,
}

struct World {
    server: Server,
    model: Model,
    devices: Vec<Device>,
    clerk: SioClient,
}

impl World {
    async fn new(seed: u64) -> Self {
        let server = Server::with(|config| config.rates.enabled = false).await;
        let mut devices = Vec::new();
        for (n, rooms) in [&[ROOMS[0], ROOMS[1], MARKER][..], &ROOMS[..1], &[]]
            .into_iter()
            .enumerate()
        {
            for (u, user) in USERS.into_iter().enumerate() {
                let client = server.connect(user).await;
                for room in rooms {
                    ok(client.call("chat:join", &json!(room)).await);
                }
                let number = (n * USERS.len() + u) as u64;
                devices.push(Device {
                    user,
                    client,
                    rooms: rooms.to_vec(),
                    dice: Mutex::new(StdRng::seed_from_u64(seed.wrapping_add(number << 32))),
                    told: Mutex::default(),
                });
            }
        }
        Self {
            clerk: server.joined("clerk", MARKER).await,
            model: Mutex::new(ROOMS.map(|room| (room, Log::default())).into()),
            server,
            devices,
        }
    }

    /// One action of a random user, device and room. While `reading`, nobody sends a message, since that
    /// would refresh all counts.
    async fn step(&self, device: &Device, reading: bool) {
        let (what, which, room, mentioned, pause) = {
            let mut dice = device.dice.lock();
            (
                dice.random_range(0..20),
                dice.random::<u64>(),
                ROOMS[dice.random_range(0..ROOMS.len())],
                dice.random_range(0..1 << USERS.len()),
                dice.random_range(500..2_000),
            )
        };
        match what {
            1..19 if reading => self.read(device, room, which).await,
            1..7 => self.say(device, room, mentioned).await,
            7..9 => self.change(device, room, which, "chat:edit_message").await,
            9..12 => self.change(device, room, which, "chat:delete_message").await,
            12..18 => self.read(device, room, which).await,
            18 => self.change(device, room, which, "chat:react").await,
            // Counts go out while others change them.
            _ => self.server.clock.advance(pause),
        }
    }

    async fn say(&self, device: &Device, room: &'static str, mentioned: usize) {
        let mentions = USERS
            .into_iter()
            .enumerate()
            .filter(|(n, _)| mentioned >> n & 1 == 1);
        let mentions: Vec<_> = mentions.map(|(_, user)| user).collect();
        let message = json!({ "room": room, "text": "hi", "mentions": mentions });
        let ack = ok(device.client.call("chat:send_message", &message).await);
        let said = Said {
            by: device.user,
            mentions,
            deleted: false,
        };
        let seq = ack["seq"].as_u64().unwrap();
        self.model.lock().get_mut(room).unwrap().said.insert(seq, said);
    }

    /// Edits or deletes an own message, or reacts to one, which another device may have deleted.
    async fn change(&self, device: &Device, room: &'static str, which: u64, event: &str) {
        let seq = {
            let model = self.model.lock();
            let own = model[room].said.iter().filter(|(_, said)| said.by == device.user);
            let own: Vec<_> = own.map(|(seq, _)| *seq).collect();
            if own.is_empty() {
                return;
            }
            own[usize::try_from(which % own.len() as u64).unwrap()]
        };
        let change = match event {
            "chat:edit_message" => json!({ "room": room, "seq": seq, "text": "ho" }),
            "chat:react" => json!({ "room": room, "seq": seq, "emoji": "+1" }),
            _ => json!({ "room": room, "seq": seq }),
        };
        let ack = device.client.call(event, &change).await.unwrap();
        let refused = &ack["error"]["code"];
        assert!(ack["ok"] == true || refused == "not_found", "{event}: {ack}");
        if event == "chat:delete_message" && ack["ok"] == true {
            let mut model = self.model.lock();
            let said = model.get_mut(room).unwrap().said.get_mut(&seq);
            said.unwrap().deleted = true;
        }
    }

    /// Reads up to a random seq, sometimes beyond the end. The mark stays within the log.
    async fn read(&self, device: &Device, room: &'static str, which: u64) {
        let (newest, mark) = {
            let model = self.model.lock();
            (model[room].newest(), model[room].mark(device.user))
        };
        let asked = which % (newest + 3) + 1;
        let ack = ok(device
            .client
            .call("chat:message_read", &json!({ "room": room, "seq": asked }))
            .await);
        let now = ack["readSeq"].as_u64().unwrap();
        assert!(
            now >= asked.min(newest).max(mark),
            "asked for {asked}, at {mark}: {ack}"
        );
        let mut model = self.model.lock();
        let mark = model.get_mut(room).unwrap().marks.entry(device.user).or_default();
        *mark = now.max(*mark);
    }

    /// After all actions, every ack and every update must match the model.
    async fn check(&self, round: u64) {
        self.server.clock.advance(1);
        send(&self.clerk, MARKER, "now").await;
        for device in self
            .devices
            .iter()
            .filter(|device| !device.rooms.contains(&MARKER))
        {
            self.hear(device, round).await;
        }
        for device in &self.devices {
            settle(&device.client).await;
            self.check_told(device);
            self.check_answers(device).await;
        }
    }

    /// Waits until the device got the clerk's message of this round, and so all earlier updates.
    async fn hear(&self, device: &Device, round: u64) {
        let heard = async {
            loop {
                self.server.clock.advance(1_000);
                let wanted = |told: &Value| told["room"] == MARKER && told["unread"] == round;
                let heard = device
                    .client
                    .find_event(Duration::from_millis(100), "chat:unread", wanted);
                if heard.await.is_ok() {
                    return;
                }
            }
        };
        assert!(
            timeout(PATIENCE, heard).await.is_ok(),
            "{} hears nothing",
            device.user
        );
    }

    fn check_told(&self, device: &Device) {
        let model = self.model.lock();
        let mut told = device.told.lock();
        for event in device.client.drain("chat:unread") {
            let counts = (
                event["unread"].as_u64().unwrap(),
                event["mentions"].as_u64().unwrap(),
            );
            told.insert(event["room"].as_str().unwrap().to_owned(), counts);
        }
        for room in ROOMS {
            let last = told.get(room).copied();
            if device.rooms.contains(&room) {
                assert_eq!(last, None, "{} is in {room}", device.user);
            } else {
                let counts = model[room].counts(device.user);
                assert_eq!(
                    last.unwrap_or_default(),
                    counts,
                    "told to {} of {room}",
                    device.user
                );
            }
        }
        for event in [
            "receive_message",
            "message_edited",
            "message_deleted",
            "message_read",
            "reaction",
        ] {
            device.client.drain(&format!("chat:{event}"));
        }
    }

    async fn check_answers(&self, device: &Device) {
        let user = device.user;
        let inbox = ok(device.client.call("chat:inbox", &json!({})).await);
        for room in ROOMS {
            let (mark, (unread, mentions)) = {
                let model = self.model.lock();
                (model[room].mark(user), model[room].counts(user))
            };
            let expected = json!([mark, unread, mentions]);
            let line =
                |answer: &Value| json!(["readSeq", "unread", "mentions"].map(|key| answer[key].clone()));
            let mut rooms = inbox["rooms"].as_array().unwrap().iter();
            let found = rooms.find(|line| line["room"] == room).unwrap();
            assert_eq!(line(found), expected, "the inbox of {user}, {room}");
            if device.rooms.contains(&room) {
                let joined = ok(device
                    .client
                    .call("chat:join", &json!({ "room": room, "limit": 1 }))
                    .await);
                assert_eq!(line(&joined), expected, "the join of {user}, {room}");
            }
            if mark > 0 {
                let again = json!({ "room": room, "seq": mark });
                let read = ok(device.client.call("chat:message_read", &again).await);
                assert_eq!(line(&read), expected, "the mark of {user}, {room}");
            }
        }
    }
}

async fn run(seed: u64) {
    let world = World::new(seed).await;
    for round in 1..=ROUNDS {
        let rounds = world.devices.iter().map(|device| async {
            for step in 0..STEPS {
                // Some rounds are mixed, some end with reads, some contain only reads.
                let reading = match round % 3 {
                    0 => true,
                    1 => step >= STEPS / 2,
                    _ => false,
                };
                world.step(device, reading).await;
            }
        });
        join_all(rounds).await;
        world.check(round).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_counts_match_a_naive_count_after_every_round() {
    let given = std::env::var("UNREAD_SEED").ok();
    let seed = given.map_or_else(rand::random, |seed| seed.parse().unwrap());
    let ran = tokio::spawn(run(seed)).await;
    assert!(ran.is_ok(), "UNREAD_SEED={seed}: {:?}", ran.err());
}
