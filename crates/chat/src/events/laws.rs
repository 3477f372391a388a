//! The report that comes with a client's marks: entries of the log that it checked, and laws that they broke.

use schemars::JsonSchema;
use serde_json::Value;

use super::{
    fields::Fields,
    shapes::{self, MOST_REPORTED},
};
use crate::error::ChatError;

/// A law of the log that clients check on the entries they show: these ascend, without holes or duplicates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(crate) enum Law {
    Ascending,
    Dense,
    Once,
}

impl Law {
    /// Every law with its name, in declaration order.
    pub(crate) const ALL: [(&'static str, Self); 3] = [
        ("ascending", Self::Ascending),
        ("dense", Self::Dense),
        ("once", Self::Once),
    ];

    fn of(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find_map(|(known, law)| (known == name).then_some(law))
    }
}

/// What a client has checked in a room since its last report.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
pub(crate) struct LawReport {
    /// The number of entries that the client handed to the app.
    #[schemars(with = "shapes::ReportedCount")]
    pub(crate) entries: u64,
    /// The laws that were broken, each at most once.
    #[schemars(
        with = "Option<Vec<LawViolations>>",
        extend("maxItems" = Law::ALL.len(), "x-uniqueBy" = "law")
    )]
    pub(crate) violations: Vec<LawViolations>,
}

/// How often a law was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
pub(crate) struct LawViolations {
    pub(crate) law: Law,
    #[schemars(with = "shapes::ReportedCount")]
    pub(crate) count: u64,
}

impl LawReport {
    /// The optional field `laws` of a mark.
    pub(super) fn read(fields: &mut Fields) -> Result<Option<Self>, ChatError> {
        let Some(report) = fields.take("laws") else {
            return Ok(None);
        };
        let must = || {
            let names = Law::ALL.map(|(name, _)| name).join(", ");
            format!(
                "must be {{entries, violations?: [{{law, count}}]}} with counts of at most {MOST_REPORTED}, \
                 and each of the laws {names} at most once"
            )
        };
        match Self::of(report) {
            Some(report) => Ok(Some(report)),
            None => Err(fields.wrong("laws", &must())),
        }
    }

    fn of(report: Value) -> Option<Self> {
        let fields = &mut Fields::of("laws", report).ok()?;
        let entries = count(fields, "entries")?;
        let items = match fields.take("violations") {
            None => Vec::new(),
            Some(Value::Array(items)) if items.len() <= Law::ALL.len() => items,
            Some(_) => return None,
        };
        let mut violations: Vec<LawViolations> = Vec::with_capacity(items.len());
        for item in items {
            let one = LawViolations::of(item)?;
            if violations.iter().any(|known| known.law == one.law) {
                return None;
            }
            violations.push(one);
        }
        Some(Self { entries, violations })
    }
}

impl LawViolations {
    fn of(item: Value) -> Option<Self> {
        let fields = &mut Fields::of("violations", item).ok()?;
        let law = match fields.take("law") {
            Some(Value::String(name)) => Law::of(&name)?,
            _ => return None,
        };
        Some(Self {
            law,
            count: count(fields, "count")?,
        })
    }
}

/// A required count within the bound.
fn count(fields: &mut Fields, field: &str) -> Option<u64> {
    let count = fields.number(field, 0).ok()??;
    (count <= MOST_REPORTED).then_some(count)
}
