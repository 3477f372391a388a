//! Everybody who takes part: users with two devices each, in three of four rooms, behind proxies.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use roomful_testkit::history::{Audit, Name};
use roomful_testkit::proxy::Proxy;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::device::{Device, Order};
use crate::run::RECOVERY;
use crate::stage::{Reached, Stage, Status, User};

const ROOMS: [&str; 4] = ["north", "south", "west", "east"];
const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];
/// Of each user; and proxies before each node.
pub(crate) const DEVICES: usize = 2;

pub(crate) struct Crowd {
    pub(crate) rooms: Vec<Name>,
    pub(crate) proxies: Vec<Proxy>,
    pub(crate) users: Vec<Arc<User>>,
    devices: Vec<(Arc<Status>, mpsc::Sender<Order>)>,
    tasks: JoinSet<()>,
}

impl Crowd {
    /// Starts everybody. There are two proxies before each node, node by node; the device `n` of each user comes through
    /// the proxy `n` of whichever node it chooses.
    pub(crate) fn gather(stage: &Arc<Stage>, proxies: Vec<Proxy>, seed: u64) -> Self {
        let rooms: Vec<Name> = ROOMS.map(Name::from).to_vec();
        let mut crowd = Self {
            users: USERS.map(User::new).to_vec(),
            rooms,
            proxies,
            devices: Vec::new(),
            tasks: JoinSet::new(),
        };
        for (at, user) in crowd.users.clone().into_iter().enumerate() {
            let mine = crowd
                .rooms
                .iter()
                .enumerate()
                .filter(|(room, _)| room % USERS.len() != at);
            let mine: Vec<_> = mine.map(|(_, room)| room.clone()).collect();
            for number in 0..DEVICES {
                let status = Arc::new(Status {
                    name: format!("{}/{number}", user.name).into(),
                    busy: AtomicUsize::new(0),
                    notified: AtomicUsize::new(0),
                    resets: AtomicUsize::new(0),
                    seen: mine
                        .iter()
                        .map(|room| (room.clone(), Reached::default()))
                        .collect(),
                });
                let routes = crowd.lines_of(number).into_iter().map(Proxy::addr).collect();
                let (orders, inbox) = mpsc::channel(16);
                let seed = seed.wrapping_add((at * DEVICES + number) as u64);
                let (stage, user) = (Arc::clone(stage), Arc::clone(&user));
                let device = Device::new(stage, user, Arc::clone(&status), routes, inbox, seed);
                crowd.tasks.spawn(device.live());
                crowd.devices.push((status, orders));
            }
        }
        crowd
    }

    /// The lines that the device `number` of each user may come through, one to each node.
    pub(crate) fn lines_of(&self, number: usize) -> Vec<&Proxy> {
        self.proxies.iter().skip(number).step_by(DEVICES).collect()
    }

    /// Ends the connections of all devices.
    pub(crate) fn tear(&self) {
        for line in &self.proxies {
            line.reset_all();
        }
    }

    pub(crate) fn devices(&self) -> usize {
        self.devices.len()
    }

    /// Gives an order to one device.
    pub(crate) async fn order(&self, device: usize, order: Order) {
        if let Some((_, orders)) = self.devices.get(device) {
            // It fails if the device's task has died, which shows as a device that never catches up.
            let _ = orders.send(order).await;
        }
    }

    /// Whether nobody waits for an answer that may add to a log.
    pub(crate) fn quiet(&self) -> bool {
        let raced = self.users.iter().all(|user| user.raced.lock().is_empty());
        raced
            && self
                .devices
                .iter()
                .all(|(status, _)| status.busy.load(Ordering::SeqCst) == 0)
    }

    /// What was left for another device to send too is not sent any more.
    pub(crate) fn end_races(&self) {
        for user in &self.users {
            user.raced.lock().clear();
        }
    }

    /// Who has not got all notifications that were posted for their user, and how many they have.
    pub(crate) fn unnotified(&self) -> Vec<(Name, u64)> {
        let mut behind = Vec::new();
        for (at, (status, _)) in self.devices.iter().enumerate() {
            let posted = self
                .users
                .get(at / DEVICES)
                .map_or(0, |user| user.posted.load(Ordering::SeqCst));
            let notified = status.notified.load(Ordering::SeqCst);
            if notified < posted {
                behind.push((status.name.clone(), notified as u64));
            }
        }
        behind
    }

    /// Devices that have not come up to `heads`, by their number.
    pub(crate) fn late(&self, heads: &HashMap<Name, u64>) -> Vec<usize> {
        let late = |status: &Status| {
            let short = |(room, seen): &(Name, Reached)| seen.get() < Some(head(heads, room));
            status.seen.iter().any(short)
        };
        let late = |(at, (status, _)): (usize, &(Arc<Status>, _))| late(status).then_some(at);
        self.devices.iter().enumerate().filter_map(late).collect()
    }

    /// Who has not come up to `heads`, in words.
    pub(crate) fn shortfalls(&self, heads: &HashMap<Name, u64>) -> String {
        let of = |device: usize| {
            let (status, _) = self.devices.get(device)?;
            let stands = status.seen.iter().map(|(room, seen)| {
                let head = head(heads, room);
                match seen.get() {
                    Some(seen) => format!("{room} {seen} of {head}"),
                    None => format!("not in {room}"),
                }
            });
            Some(format!(
                "{} ({})",
                status.name,
                stands.collect::<Vec<_>>().join(", ")
            ))
        };
        let late = self.late(heads).into_iter().filter_map(of);
        late.collect::<Vec<_>>().join("; ")
    }

    /// Who was not told of each of their rooms that it has another log, and of how many they were.
    pub(crate) fn not_reset(&self) -> Vec<(Name, usize)> {
        let resets = |status: &Status| status.resets.load(Ordering::SeqCst);
        let told = self.devices.iter().map(|(status, _)| (status, resets(status)));
        told.filter(|(status, told)| *told < status.seen.len())
            .map(|(status, told)| (status.name.clone(), told))
            .collect()
    }

    /// Waits until everybody has seen the ends of these logs and got their notifications. Who does not is noted as a trouble.
    pub(crate) async fn wait_for_all(&self, stage: &Stage, audits: &[Audit]) {
        let head = |audit: &Audit| audit.entries.last().map_or(audit.after, |entry| entry.seq);
        let behind = || {
            let entries = audits
                .iter()
                .flat_map(|audit| self.behind(&audit.room, head(audit)));
            entries.chain(self.unnotified())
        };
        if stage.wait_until(RECOVERY, || behind().next().is_none()).await {
            return;
        }
        for (device, seen) in behind() {
            stage.trouble(format!("{device} did not catch up; it has seen {seen}"));
        }
    }

    /// Who in `room` has not seen everything up to `head`, and how far they are.
    pub(crate) fn behind(&self, room: &Name, head: u64) -> Vec<(Name, u64)> {
        let mut behind = Vec::new();
        for (status, _) in &self.devices {
            for (_, seen) in status.seen.iter().filter(|(of, _)| of == room) {
                if seen.get() < Some(head) {
                    behind.push((status.name.clone(), seen.get().unwrap_or_default()));
                }
            }
        }
        behind
    }
}

/// Where the log of a room ends, as far as is known: at 0 if nothing is.
fn head(heads: &HashMap<Name, u64>, room: &Name) -> u64 {
    heads.get(room).copied().unwrap_or_default()
}
