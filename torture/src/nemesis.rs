//! Faults on a single node beside the kills: one at a time, injected and healed.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use roomful_testkit::proxy::{LinkCondition, Proxy};
use tokio::time::sleep;

use crate::client_pool::{ClientPool, DEVICES};
use crate::device::Order;
use crate::disk::Disk;
use crate::error::TortureError;
use crate::run_state::RunState;

/// Longer than the server's heartbeat timeout, so that the server closes a half-open connection.
const HALF_OPEN: Duration = Duration::from_millis(3_500);
/// The longest duration of a fault that waits for the clients.
pub(crate) const HOLD: Duration = Duration::from_secs(3);

/// Yields each fault once in random order, then all of them again.
pub(crate) fn next_fault<B: Copy>(faults: &mut [B], round: u64, rng: &mut StdRng) -> Option<B> {
    let at = usize::try_from(round).unwrap_or_default() % faults.len().max(1);
    if at == 0 {
        faults.shuffle(rng);
    }
    faults.get(at).copied()
}

/// A fault that is milder than a kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connections of half of the devices are reset.
    Cut,
    /// Half of the devices have silent connections; then the connections come back, or are reset.
    HalfOpen,
    /// The traffic of half of the devices is delayed.
    Delay,
    /// Some devices stop reading while others send long messages to them.
    PausedReaders,
    /// The tokens of some devices expire.
    Expire,
    /// The disk is full.
    FullDisk,
}

impl Fault {
    /// Faults without special requirements.
    pub const COMMON: [Self; 5] = [
        Self::Cut,
        Self::HalfOpen,
        Self::Delay,
        Self::PausedReaders,
        Self::Expire,
    ];

    /// All faults.
    pub(crate) const ALL: [Self; 6] = [
        Self::Cut,
        Self::HalfOpen,
        Self::Delay,
        Self::PausedReaders,
        Self::Expire,
        Self::FullDisk,
    ];
}

/// The system that a fault acts on.
pub(crate) struct FaultTarget<'a> {
    pub(crate) run_state: &'a RunState,
    pub(crate) client_pool: &'a ClientPool,
    pub(crate) disk: &'a Disk,
    pub(crate) rng: &'a mut StdRng,
    /// Messages to send during the fault.
    pub(crate) messages: u64,
    /// The number of acknowledged messages when all of them have got through.
    pub(crate) acknowledged: u64,
}

impl FaultTarget<'_> {
    /// Injects the fault, lets clients send messages, and heals it.
    pub(crate) async fn inject(&mut self, fault: Fault) -> Result<(), TortureError> {
        let lines = self.client_pool.lines_of(self.rng.random_range(0..DEVICES));
        match fault {
            Fault::Cut => {
                self.run_state.allow(self.messages);
                for line in &lines {
                    line.reset_all();
                }
            }
            Fault::HalfOpen => self.half_open(&lines).await,
            Fault::Delay => {
                let slow = LinkCondition::Slow(Duration::from_millis(self.rng.random_range(1..30)));
                for line in &lines {
                    line.set(slow);
                }
                self.wait_delivered().await;
                for line in &lines {
                    line.set(LinkCondition::Normal);
                }
            }
            Fault::PausedReaders => self.pause_readers().await,
            Fault::Expire => self.expire().await,
            Fault::FullDisk => {
                self.disk.fill()?;
                self.run_state.allow(self.messages);
                self.pause(300..1_500).await;
                self.disk.free()?;
            }
        }
        Ok(())
    }

    /// Waits until the fault's messages have got through, up to a limit: some may have to wait for the heal.
    async fn wait_delivered(&self) {
        self.run_state.allow(self.messages);
        let enough = || self.run_state.acknowledged() >= self.acknowledged;
        self.run_state.wait_until(HOLD, enough).await;
    }

    async fn half_open(&mut self, lines: &[&Proxy]) {
        for line in lines {
            line.set(LinkCondition::Frozen);
        }
        self.run_state.allow(self.messages);
        sleep(HALF_OPEN).await;
        if self.rng.random() {
            for line in lines {
                line.reset_all();
            }
        }
        for line in lines {
            line.set(LinkCondition::Normal);
        }
    }

    async fn pause_readers(&mut self) {
        let paused = [(); 2].map(|()| self.rng.random_range(0..self.client_pool.devices()));
        for device in paused {
            self.client_pool.order(device, Order::StopReading).await;
        }
        self.run_state.long.store(true, Ordering::SeqCst);
        self.wait_delivered().await;
        self.run_state.long.store(false, Ordering::SeqCst);
        for device in paused {
            self.client_pool.order(device, Order::ResumeReading).await;
        }
    }

    async fn expire(&mut self) {
        for device in 0..self.client_pool.devices() {
            if self.rng.random() {
                self.client_pool.order(device, Order::Expire).await;
            }
        }
        self.run_state.allow(self.messages);
        // The tokens expire one to two seconds from now.
        self.pause(1_000..2_200).await;
    }

    async fn pause(&mut self, milliseconds: Range<u64>) {
        sleep(Duration::from_millis(self.rng.random_range(milliseconds))).await;
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cut => "cut lines",
            Self::HalfOpen => "half-open lines",
            Self::Delay => "slow lines",
            Self::PausedReaders => "paused readers",
            Self::Expire => "expired tokens",
            Self::FullDisk => "full disk",
        })
    }
}
