//! The clients of a run: users with two devices each, in three of four rooms, behind proxies.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use roomful_testkit::history::{Audit, Name};
use roomful_testkit::proxy::Proxy;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::device::{Device, Order};
use crate::run::RECOVERY;
use crate::run_state::{Reached, RunState, Status, User};

const ROOMS: [&str; 4] = ["north", "south", "west", "east"];
const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];
/// Devices per user, and proxies per node.
pub(crate) const DEVICES: usize = 2;

pub(crate) struct ClientPool {
    pub(crate) rooms: Vec<Name>,
    pub(crate) proxies: Vec<Proxy>,
    pub(crate) users: Vec<Arc<User>>,
    devices: Vec<(Arc<Status>, mpsc::Sender<Order>)>,
    tasks: JoinSet<()>,
}

impl ClientPool {
    /// Starts all clients. There are two proxies before each node, node by node. Device `n` of each user
    /// connects through proxy `n` of the node it chooses.
    pub(crate) fn start(run_state: &Arc<RunState>, proxies: Vec<Proxy>, seed: u64) -> Self {
        let rooms: Vec<Name> = ROOMS.map(Name::from).to_vec();
        let mut client_pool = Self {
            users: USERS.map(User::new).to_vec(),
            rooms,
            proxies,
            devices: Vec::new(),
            tasks: JoinSet::new(),
        };
        for (at, user) in client_pool.users.clone().into_iter().enumerate() {
            let mine = client_pool
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
                let routes = client_pool
                    .lines_of(number)
                    .into_iter()
                    .map(Proxy::addr)
                    .collect();
                let (orders, inbox) = mpsc::channel(16);
                let seed = seed.wrapping_add((at * DEVICES + number) as u64);
                let (run_state, user) = (Arc::clone(run_state), Arc::clone(&user));
                let device = Device::new(run_state, user, Arc::clone(&status), routes, inbox, seed);
                client_pool.tasks.spawn(device.run());
                client_pool.devices.push((status, orders));
            }
        }
        client_pool
    }

    /// The addresses that device `number` of each user can connect to, one per node.
    pub(crate) fn lines_of(&self, number: usize) -> Vec<&Proxy> {
        self.proxies.iter().skip(number).step_by(DEVICES).collect()
    }

    /// Closes the connections of all devices.
    pub(crate) fn tear(&self) {
        for line in &self.proxies {
            line.reset_all();
        }
    }

    pub(crate) fn devices(&self) -> usize {
        self.devices.len()
    }

    /// Sends an order to one device.
    pub(crate) async fn order(&self, device: usize, order: Order) {
        if let Some((_, orders)) = self.devices.get(device) {
            // The send fails if the device's task has died; then the device never catches up, which the
            // audit reports.
            let _ = orders.send(order).await;
        }
    }

    /// True if no device waits for an answer that may add to a log.
    pub(crate) fn quiet(&self) -> bool {
        let shared_messages = self
            .users
            .iter()
            .all(|user| user.shared_messages.lock().is_empty());
        shared_messages
            && self
                .devices
                .iter()
                .all(|(status, _)| status.busy.load(Ordering::SeqCst) == 0)
    }

    /// Discards messages that a device left for another one to send too.
    pub(crate) fn discard_shared_messages(&self) {
        for user in &self.users {
            user.shared_messages.lock().clear();
        }
    }

    /// Devices that lack notifications posted for their user, with the number they have.
    pub(crate) fn behind_in_notifications(&self) -> Vec<(Name, u64)> {
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

    /// Numbers of the devices that have not reached `heads`.
    pub(crate) fn late(&self, heads: &HashMap<Name, u64>) -> Vec<usize> {
        let late = |status: &Status| {
            let short = |(room, seen): &(Name, Reached)| seen.get() < Some(head(heads, room));
            status.seen.iter().any(short)
        };
        let late = |(at, (status, _)): (usize, &(Arc<Status>, _))| late(status).then_some(at);
        self.devices.iter().enumerate().filter_map(late).collect()
    }

    /// Describes the devices that have not reached `heads`.
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

    /// Devices that did not learn of a new epoch in each of their rooms, with the number of rooms that did.
    pub(crate) fn not_reset(&self) -> Vec<(Name, usize)> {
        let resets = |status: &Status| status.resets.load(Ordering::SeqCst);
        let told = self.devices.iter().map(|(status, _)| (status, resets(status)));
        told.filter(|(status, told)| *told < status.seen.len())
            .map(|(status, told)| (status.name.clone(), told))
            .collect()
    }

    /// Waits until all devices have these logs and their notifications. Records a trouble for each one that
    /// does not.
    pub(crate) async fn wait_for_all(&self, run_state: &RunState, audits: &[Audit]) {
        let head = |audit: &Audit| audit.entries.last().map_or(audit.after, |entry| entry.seq);
        let behind = || {
            let entries = audits
                .iter()
                .flat_map(|audit| self.behind(&audit.room, head(audit)));
            entries.chain(self.behind_in_notifications())
        };
        if run_state.wait_until(RECOVERY, || behind().next().is_none()).await {
            return;
        }
        for (device, seen) in behind() {
            run_state.add_problem(format!("{device} did not catch up; it has seen {seen}"));
        }
    }

    /// Devices in `room` that have not seen everything up to `head`, with their progress.
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

/// The known end of a room's log; 0 if unknown.
fn head(heads: &HashMap<Name, u64>, room: &Name) -> u64 {
    heads.get(room).copied().unwrap_or_default()
}
