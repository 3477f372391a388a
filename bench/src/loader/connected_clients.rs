//! Clients that are connected and in their rooms: the starting point of most workloads.

use std::net::SocketAddr;
use std::time::Duration;

use crate::clock;
use crate::error::BenchError;
use crate::loader::client_pool::{ClientEvent, ClientPool};
use crate::loader::dialect::Dialect;
use crate::progress;

/// Clients that connect at the same time: enough to keep a server busy, few enough for its backlog.
const CONNECTING: usize = 64;
/// The longest time without progress while clients connect.
const PATIENCE: Duration = Duration::from_secs(20);
const TURN: Duration = Duration::from_millis(100);
/// The id of the command that joins a client's first room.
pub(crate) const FIRST_ID: u32 = 2;

/// The clients to connect, and their server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// How many clients.
    pub(crate) clients: usize,
    /// How many rooms there are.
    pub(crate) rooms: usize,
    /// Members of each room. Client `c` is the member of rooms `c`, `c + clients`, …, modulo the rooms.
    pub(crate) members: usize,
    /// The secret of their tokens; none if the server checks none.
    pub(crate) secret: Option<&'static str>,
    /// One client in so many is narrow; 0 for none.
    pub(crate) narrow_each: usize,
    /// Additional clients that are in no room and send to all; without them, members send in turn.
    pub(crate) senders: usize,
    /// The number of the first room, if other clients use rooms too.
    pub(crate) first_room: usize,
}

impl Plan {
    /// The client that is member `member` of `room`.
    pub(crate) fn client(&self, room: usize, member: usize) -> usize {
        (room * self.members + member) % self.clients
    }

    /// The client that sends message `number`, unless a member does.
    pub(crate) fn sender(&self, number: usize) -> Option<usize> {
        Some(self.clients + number.checked_rem(self.senders)?)
    }

    /// The name of one of its rooms.
    pub(crate) fn room_name(&self, room: usize) -> String {
        room_name(self.first_room + room)
    }

    /// Members and senders.
    fn everybody(&self) -> usize {
        self.clients + self.senders
    }

    fn rooms_of(&self) -> Vec<Vec<u32>> {
        let mut rooms_of = vec![Vec::new(); self.everybody()];
        for room in 0..self.rooms {
            for member in 0..self.members {
                rooms_of[self.client(room, member)].push(u32::try_from(room).unwrap_or(u32::MAX));
            }
        }
        rooms_of
    }
}

/// The name of a room.
pub(crate) fn room_name(room: usize) -> String {
    format!("room-{room}")
}

/// A client's user id.
pub(crate) fn user_name(client: usize) -> String {
    format!("user-{client}")
}

/// Connected clients, each in all its rooms.
pub(crate) struct ConnectedClients {
    pub(crate) plan: Plan,
    pub(crate) client_pool: ClientPool,
}

impl ConnectedClients {
    /// Connects all clients, joins the rooms, and returns when every join is acknowledged.
    pub(crate) fn connect(addr: SocketAddr, dialect: Dialect, plan: Plan) -> Result<Self, BenchError> {
        Self::connect_to_each(&|_| addr, dialect, plan)
    }

    /// The same; `at` gives each client's server.
    pub(crate) fn connect_to_each(
        at: &dyn Fn(usize) -> SocketAddr,
        dialect: Dialect,
        plan: Plan,
    ) -> Result<Self, BenchError> {
        let mut connected = Self {
            plan,
            client_pool: ClientPool::new(at(0), dialect)?,
        };
        let everybody = plan.everybody();
        let rooms_of = plan.rooms_of();
        let mut gathering = Gathering::default();
        let mut last_news = clock::now();
        let mut ready = Vec::new();
        while gathering.done < everybody {
            while gathering.started < everybody && gathering.started - gathering.done < CONNECTING {
                let user = user_name(gathering.started);
                let token = plan
                    .secret
                    .map(|secret| roomful_testkit::token::for_user(secret, &user));
                let narrow = plan.narrow_each > 0 && gathering.started.is_multiple_of(plan.narrow_each);
                let addr = at(gathering.started);
                connected.client_pool.connect_to(addr, token.as_deref(), narrow)?;
                gathering.started += 1;
            }
            let before = gathering.news;
            connected.client_pool.turn(TURN, &mut |client, event| {
                gathering.handle(client, event, &mut ready);
            })?;
            for (client, joined) in ready.drain(..) {
                match rooms_of[client].get(joined) {
                    Some(&room) => {
                        let id = FIRST_ID + u32::try_from(joined).unwrap_or_default();
                        let join = dialect.join(id, &plan.room_name(room as usize));
                        connected.client_pool.send(client, &join);
                    }
                    None => gathering.done += 1,
                }
            }
            if gathering.news > before {
                last_news = clock::now();
            }
            gathering.check(everybody, last_news)?;
            progress::count("clients in their rooms", gathering.done, everybody);
        }
        Ok(connected)
    }
}

#[derive(Default)]
struct Gathering {
    started: usize,
    done: usize,
    news: u64,
    failure: Option<String>,
}

impl Gathering {
    fn handle(&mut self, client: usize, event: ClientEvent<'_>, ready: &mut Vec<(usize, usize)>) {
        self.news += 1;
        match event {
            ClientEvent::Up => ready.push((client, 0)),
            ClientEvent::Answer { id, ok: true } => ready.push((client, (id - FIRST_ID + 1) as usize)),
            ClientEvent::Answer { ok: false, .. } => self.failure = Some("a join was refused".into()),
            ClientEvent::Gone(reason) => self.failure = Some(reason),
            ClientEvent::Delivery(_) => {}
        }
    }

    fn check(&self, clients: usize, last_news: u64) -> Result<(), BenchError> {
        let stalled = clock::now() - last_news > clock::nanos(PATIENCE);
        let reason = match &self.failure {
            Some(reason) => reason.clone(),
            None if stalled => format!("nothing happened for {} s", PATIENCE.as_secs()),
            None => return Ok(()),
        };
        Err(BenchError::Gather {
            done: self.done,
            clients,
            reason,
        })
    }
}
