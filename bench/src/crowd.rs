//! A crowd of stock-protocol clients: each has a token of its own, is in one room, and answers heartbeats.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use roomful_testkit::session::{Incoming, Session, Target};
use roomful_testkit::{Error, PATIENCE, token};
use serde_json::json;
use tokio::sync::{Notify, Semaphore};
use tokio::task::LocalSet;
use tokio::time::timeout;

use crate::error::BenchError;
use crate::report;

/// Clients per source address: one address has some 28,000 ephemeral ports towards one server.
const PER_ADDRESS: usize = 25_000;
/// Clients that connect at the same time: enough to keep the server busy, few enough not to overrun its backlog.
const CONNECTING: usize = 64;

/// What there is to build.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// How many clients.
    pub(crate) clients: usize,
    /// Over how many rooms they are spread, evenly.
    pub(crate) rooms: usize,
}

#[derive(Debug, Default)]
struct Tally {
    joined: usize,
    lost: usize,
    first_loss: String,
}

/// A crowd that is connected. Its tasks live in the [`LocalSet`] it was built in and end with it.
#[derive(Debug)]
pub(crate) struct Crowd {
    plan: Plan,
    tally: Rc<RefCell<Tally>>,
}

impl Crowd {
    /// Connects everybody, joins the rooms, and returns when every join is acknowledged.
    pub(crate) async fn gather(
        tasks: &LocalSet,
        addr: SocketAddr,
        secret: &str,
        plan: Plan,
    ) -> Result<Self, BenchError> {
        let crowd = Self {
            plan,
            tally: Rc::default(),
        };
        let gate = Rc::new(Semaphore::new(CONNECTING));
        let moved = Rc::new(Notify::new());
        for index in 0..plan.clients {
            let (tally, gate, moved) = (Rc::clone(&crowd.tally), Rc::clone(&gate), Rc::clone(&moved));
            let token = token::for_user(secret, &format!("user-{index}"));
            tasks.spawn_local(async move {
                let joined = {
                    // The gate is never closed; without a permit the client would only come earlier.
                    let _permit = gate.acquire().await;
                    join(addr, index, plan, &token).await
                };
                let ended = match joined {
                    Ok(session) => {
                        tally.borrow_mut().joined += 1;
                        moved.notify_one();
                        linger(session).await
                    }
                    Err(error) => error.to_string(),
                };
                let mut tally = tally.borrow_mut();
                if tally.lost == 0 {
                    tally.first_loss = ended;
                }
                tally.lost += 1;
                moved.notify_one();
            });
        }
        tasks.run_until(crowd.wait_joined(&moved)).await?;
        Ok(crowd)
    }

    async fn wait_joined(&self, moved: &Notify) -> Result<(), BenchError> {
        loop {
            self.check()?;
            let joined = self.tally.borrow().joined;
            report::progress_count("clients in their room", joined, self.plan.clients);
            if joined == self.plan.clients {
                return Ok(());
            }
            moved.notified().await;
        }
    }

    /// Fails if a client is no longer there.
    pub(crate) fn check(&self) -> Result<(), BenchError> {
        let tally = self.tally.borrow();
        if tally.lost == 0 {
            return Ok(());
        }
        Err(BenchError::Lost {
            lost: tally.lost,
            clients: self.plan.clients,
            first: tally.first_loss.clone(),
        })
    }
}

async fn join(addr: SocketAddr, index: usize, plan: Plan, token: &str) -> Result<Session, Error> {
    let mut target = Target::from(addr);
    let last = u8::try_from(1 + index / PER_ADDRESS).unwrap_or(u8::MAX);
    target.source = Some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)));
    let (mut session, _) = Session::connect(target, "/", &json!({ "token": token })).await?;
    let room = format!("room-{}", index % plan.rooms);
    session
        .emit(Some(0), "chat:join", &json!({ "room": room }))
        .await?;
    timeout(PATIENCE * 3, acknowledged(&mut session))
        .await
        .map_err(|_| Error::TimedOut {
            what: format!("the ack of chat:join {room}"),
            waited: PATIENCE * 3,
            seen: "other events".into(),
        })??;
    Ok(session)
}

async fn acknowledged(session: &mut Session) -> Result<(), Error> {
    loop {
        match session.next().await {
            Incoming::Packet(packet) if packet.id == Some(0) => {
                return match &packet.data[0]["ok"] {
                    serde_json::Value::Bool(true) => Ok(()),
                    _ => Err(Error::Protocol(format!("chat:join was answered {}", packet.data))),
                };
            }
            Incoming::Packet(_) => {}
            Incoming::Ended(end) => {
                return Err(Error::Closed {
                    reason: format!("{end:?}"),
                    what: "the ack of chat:join".into(),
                });
            }
        }
    }
}

/// Takes what comes, answers heartbeats, and says how it ended.
async fn linger(mut session: Session) -> String {
    loop {
        if let Incoming::Ended(end) = session.next().await {
            return format!("{end:?}");
        }
    }
}

/// Lets the crowd live for `time`.
pub(crate) async fn live(tasks: &LocalSet, time: Duration) {
    tasks.run_until(tokio::time::sleep(time)).await;
}
