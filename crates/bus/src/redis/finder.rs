//! Asks who is master of what.

use redis::{RedisResult, Value, aio::MultiplexedConnection};

use super::{
    dial::{Dialer, trouble},
    slots::{self, Range},
    target::{Finding, Place, Target},
};
use crate::BusError;

/// Who is master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One has all.
    Whole(Place),
    /// Each has some slots.
    Slots(Vec<Range>),
}

pub(crate) struct Finder {
    finding: Finding,
    dialer: Dialer,
    /// Whom to ask, the best first.
    places: Vec<Place>,
    /// The one that answered last.
    open: Option<(Place, MultiplexedConnection)>,
}

impl Finder {
    pub(crate) fn new(target: Target, dialer: &Dialer) -> Self {
        let (places, dialer) = match &target.finding {
            Finding::Fixed(_) => (Vec::new(), dialer.clone()),
            Finding::Sentinel {
                sentinels, sign_in, ..
            } => (sentinels.clone(), dialer.signing_in(sign_in)),
            Finding::Cluster { nodes } => (nodes.clone(), dialer.clone()),
        };
        Self {
            finding: target.finding,
            dialer,
            places,
            open: None,
        }
    }

    /// Whether the answer can never be another.
    pub(crate) fn is_fixed(&self) -> bool {
        matches!(self.finding, Finding::Fixed(_))
    }

    /// Asks another one next time: the one that is asked may be cut off from the others.
    pub(crate) fn doubt(&mut self) {
        if self.open.take().is_some() && !self.places.is_empty() {
            self.places.rotate_left(1);
        }
    }

    /// Asks one after another until one has an answer. It fails with [`BusError::SignIn`] if all that can be reached refuse
    /// the user.
    pub(crate) async fn find(&mut self) -> Result<Layout, BusError> {
        if let Finding::Fixed(place) = &self.finding {
            return Ok(Layout::Whole(place.clone()));
        }
        if let Some((place, mut connection)) = self.open.take()
            && let Ok(layout) = self.ask(&place, &mut connection).await
        {
            self.open = Some((place, connection));
            return Ok(layout);
        }
        let mut failures = Failures::default();
        for index in 0..self.places.len() {
            let Some(place) = self.places.get(index).cloned() else {
                break;
            };
            let mut connection = match self.dialer.connect(&place, None).await {
                Ok(connection) => connection,
                Err(error) => {
                    failures.turned_away(error);
                    continue;
                }
            };
            match self.ask(&place, &mut connection).await {
                Ok(layout) => {
                    self.places.rotate_left(index);
                    self.open = Some((place, connection));
                    self.learn(&layout);
                    return Ok(layout);
                }
                Err(error) => failures.unanswered = Some(error),
            }
        }
        Err(failures.most_telling())
    }

    async fn ask(&self, place: &Place, connection: &mut MultiplexedConnection) -> Result<Layout, BusError> {
        let (master, mut question) = match &self.finding {
            Finding::Sentinel { master, .. } => (Some(master), redis::cmd("SENTINEL")),
            _ => (None, redis::cmd("CLUSTER")),
        };
        match master {
            Some(master) => question.arg("GET-MASTER-ADDR-BY-NAME").arg(master),
            None => question.arg("SLOTS"),
        };
        let answer: RedisResult<Value> = self.dialer.in_time(question.query_async(connection)).await;
        let answer = answer.map_err(|error| trouble(&error))?;
        let layout = if master.is_some() {
            whole(answer)
        } else {
            slotted(answer, place)
        };
        layout.ok_or_else(|| BusError::Unavailable("no master is known yet".into()))
    }

    /// The nodes that the URL names may all be gone one day, while the cluster goes on.
    fn learn(&mut self, layout: &Layout) {
        let Layout::Slots(ranges) = layout else { return };
        let Finding::Cluster { nodes } = &self.finding else {
            return;
        };
        let first = self.places.first().cloned();
        let masters = ranges.iter().map(|range| &range.master);
        let mut places: Vec<Place> = Vec::new();
        for place in first.iter().chain(masters).chain(nodes) {
            if !places.contains(place) {
                places.push(place.clone());
            }
        }
        self.places = places;
    }
}

/// Why those who were asked gave no answer: the last of each kind.
#[derive(Default)]
struct Failures {
    unreachable: Option<BusError>,
    refused: Option<BusError>,
    unanswered: Option<BusError>,
}

impl Failures {
    /// There is no connection to one.
    fn turned_away(&mut self, error: BusError) {
        match error {
            BusError::SignIn(_) => self.refused = Some(error),
            _ => self.unreachable = Some(error),
        }
    }

    /// One that lets us in may have an answer soon, so that is an outage, whoever else refuses the user. That one refuses it is
    /// to be told, whoever else can't be reached.
    fn most_telling(self) -> BusError {
        let failure = self.unanswered.or(self.refused).or(self.unreachable);
        failure.unwrap_or_else(|| BusError::Unavailable("there is nobody to ask".into()))
    }
}

fn whole(answer: Value) -> Option<Layout> {
    let (host, port): (String, u16) = redis::from_redis_value(answer).ok()?;
    Some(Layout::Whole(Place::Tcp { host, port }))
}

fn slotted(answer: Value, asked: &Place) -> Option<Layout> {
    let Place::Tcp { host, .. } = asked else {
        return None;
    };
    let ranges = slots::read(answer, host)?;
    (!ranges.is_empty()).then_some(Layout::Slots(ranges))
}
