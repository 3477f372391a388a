//! Notifications: each device of a recipient gets each one, and at most once per connection.
//!
//! A notification in flight when a connection breaks may come again on the next one.

use std::collections::{HashMap, HashSet};

use super::{Name, Violation};

#[derive(Debug, Default)]
pub(super) struct Notices {
    /// Acknowledged notifications by user.
    posted: HashMap<Name, Vec<Name>>,
    /// By device.
    devices: HashMap<Name, Device>,
}

#[derive(Debug)]
struct Device {
    user: Name,
    /// All received notifications.
    got: HashSet<Name>,
    /// Those received on the current connection.
    here: HashSet<Name>,
    /// The number of posted notifications that are checked already.
    settled: usize,
}

impl Notices {
    pub(super) fn posted(&mut self, id: &Name, users: &[Name]) {
        for user in users {
            self.posted.entry(user.clone()).or_default().push(id.clone());
        }
    }

    /// A device has a new connection.
    pub(super) fn connected(&mut self, device: &Name, user: &Name) {
        let device = self.devices.entry(device.clone()).or_insert_with(|| Device {
            user: user.clone(),
            got: HashSet::new(),
            here: HashSet::new(),
            settled: 0,
        });
        device.here.clear();
    }

    pub(super) fn got(&mut self, device: &Name, id: &Name, report: &mut impl FnMut(Violation)) {
        let Some(at) = self.devices.get_mut(device) else {
            return;
        };
        at.got.insert(id.clone());
        if !at.here.insert(id.clone()) {
            report(Violation::NotifiedTwice {
                device: device.clone(),
                id: id.clone(),
            });
        }
    }

    /// Checks that all posted notifications have arrived.
    pub(super) fn settle(&mut self, report: &mut impl FnMut(Violation)) {
        for (name, device) in &mut self.devices {
            let posted = self.posted.get(&device.user).map_or(&[][..], Vec::as_slice);
            for id in posted
                .iter()
                .skip(device.settled)
                .filter(|id| !device.got.contains(*id))
            {
                report(Violation::NeverNotified {
                    device: name.clone(),
                    id: id.clone(),
                });
            }
            device.settled = posted.len();
        }
    }
}
