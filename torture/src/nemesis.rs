//! What goes wrong beside the kills: one blow at a time, struck and healed.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use roomful_testkit::proxy::{Proxy, Weather};
use tokio::time::sleep;

use crate::crowd::{Crowd, DEVICES};
use crate::device::Order;
use crate::disk::Disk;
use crate::error::TortureError;
use crate::stage::Stage;

/// Longer than the server waits for a heartbeat, so that it gives up a line that is dead at one end only.
const HALF_OPEN: Duration = Duration::from_millis(3_500);
/// At most so long does a blow fall that waits for what others do meanwhile.
pub(crate) const HOLD: Duration = Duration::from_secs(3);

/// Each blow once, in an order of its own, then each of them again.
pub(crate) fn next_blow<B: Copy>(blows: &mut [B], round: u64, rng: &mut StdRng) -> Option<B> {
    let at = usize::try_from(round).unwrap_or_default() % blows.len().max(1);
    if at == 0 {
        blows.shuffle(rng);
    }
    blows.get(at).copied()
}

/// A lesser blow than a kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// The connections of half of the devices are reset.
    Cut,
    /// Half of the devices hang on lines that are dead and do not say so; then the lines come back, or are reset.
    HalfOpen,
    /// Every piece of the traffic of half of the devices takes its time.
    Delay,
    /// Some devices stop reading while long messages are sent to them.
    Deaf,
    /// The tokens of some devices end.
    Expire,
    /// The disk is full.
    FullDisk,
}

impl Blow {
    /// The blows that need nothing special of the machine.
    pub const COMMON: [Self; 5] = [Self::Cut, Self::HalfOpen, Self::Delay, Self::Deaf, Self::Expire];

    /// All of them.
    pub(crate) const ALL: [Self; 6] = [
        Self::Cut,
        Self::HalfOpen,
        Self::Delay,
        Self::Deaf,
        Self::Expire,
        Self::FullDisk,
    ];
}

/// Where a blow falls.
pub(crate) struct Field<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) crowd: &'a Crowd,
    pub(crate) disk: &'a Disk,
    pub(crate) rng: &'a mut StdRng,
    /// Messages that are to be sent while it lasts.
    pub(crate) messages: u64,
    /// So many are acknowledged when all of them have got through.
    pub(crate) acknowledged: u64,
}

impl Field<'_> {
    /// Strikes, lets messages be sent, and heals.
    pub(crate) async fn strike(&mut self, blow: Blow) -> Result<(), TortureError> {
        let lines = self.crowd.lines_of(self.rng.random_range(0..DEVICES));
        match blow {
            Blow::Cut => {
                self.stage.allow(self.messages);
                for line in &lines {
                    line.reset_all();
                }
            }
            Blow::HalfOpen => self.half_open(&lines).await,
            Blow::Delay => {
                let slow = Weather::Slow(Duration::from_millis(self.rng.random_range(1..30)));
                for line in &lines {
                    line.set(slow);
                }
                self.hold().await;
                for line in &lines {
                    line.set(Weather::Fair);
                }
            }
            Blow::Deaf => self.deafen().await,
            Blow::Expire => self.expire().await,
            Blow::FullDisk => {
                self.disk.fill()?;
                self.stage.allow(self.messages);
                self.pause(300..1_500).await;
                self.disk.free()?;
            }
        }
        Ok(())
    }

    /// Until what may be sent meanwhile has got through, but not for ever: some of it may have to wait for the end.
    async fn hold(&self) {
        self.stage.allow(self.messages);
        let enough = || self.stage.acknowledged() >= self.acknowledged;
        self.stage.wait_until(HOLD, enough).await;
    }

    async fn half_open(&mut self, lines: &[&Proxy]) {
        for line in lines {
            line.set(Weather::Frozen);
        }
        self.stage.allow(self.messages);
        sleep(HALF_OPEN).await;
        if self.rng.random() {
            for line in lines {
                line.reset_all();
            }
        }
        for line in lines {
            line.set(Weather::Fair);
        }
    }

    async fn deafen(&mut self) {
        let deaf = [(); 2].map(|()| self.rng.random_range(0..self.crowd.devices()));
        for device in deaf {
            self.crowd.order(device, Order::Deaf).await;
        }
        self.stage.long.store(true, Ordering::SeqCst);
        self.hold().await;
        self.stage.long.store(false, Ordering::SeqCst);
        for device in deaf {
            self.crowd.order(device, Order::Hear).await;
        }
    }

    async fn expire(&mut self) {
        for device in 0..self.crowd.devices() {
            if self.rng.random() {
                self.crowd.order(device, Order::Expire).await;
            }
        }
        self.stage.allow(self.messages);
        // The tokens end between one second and two from now.
        self.pause(1_000..2_200).await;
    }

    async fn pause(&mut self, milliseconds: Range<u64>) {
        sleep(Duration::from_millis(self.rng.random_range(milliseconds))).await;
    }
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cut => "cut lines",
            Self::HalfOpen => "half-open lines",
            Self::Delay => "slow lines",
            Self::Deaf => "deaf readers",
            Self::Expire => "expired tokens",
            Self::FullDisk => "full disk",
        })
    }
}
