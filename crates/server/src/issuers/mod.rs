//! Keys of the issuers in `auth.issuers`: fetched over HTTPS, cached, and kept while an issuer is away.
//!
//! | file | what |
//! |---|---|
//! | `address` | which addresses the server may connect to |
//! | `cache` | the cached keys, and when to fetch them again |
//! | `client` | one GET request with all its limits |
//! | `discovery` | reading the document that names the URL of the keys |
//! | `fetcher` | from an issuer's setting to its keys |

mod address;
mod cache;
mod client;
mod discovery;
mod fetcher;

use std::{io, sync::Arc};

use roomful_chat::{ClaimName, ClaimNames, Issuer};
use roomful_supervisor::Supervised;

use self::{cache::KeyCache, fetcher::Fetcher};
use crate::config::{self, Auth, IssuerClaims};

/// Starts a task for each issuer that keeps its keys fresh. Does not wait for the first keys.
///
/// # Errors
/// If the system's CA certificates cannot be loaded.
pub(crate) fn start(auth: &Auth, tasks: &mut Vec<Supervised>) -> io::Result<Vec<Issuer>> {
    let start = |issuer: &config::Issuer| {
        let (keys, task) = KeyCache::start(Fetcher::new(auth, issuer)?, auth);
        tasks.push(task);
        let audience = issuer.audience().iter().map(String::as_str);
        Ok(Issuer::new(
            &issuer.issuer,
            audience,
            claim_names(&issuer.claims),
            Arc::new(keys),
        ))
    };
    auth.issuers.iter().map(start).collect()
}

/// Fetches the keys of one issuer once and returns their number.
///
/// # Errors
/// A line about the cause.
pub(crate) async fn check(auth: &Auth, issuer: &config::Issuer) -> Result<usize, String> {
    let fetcher = Fetcher::new(auth, issuer).map_err(|error| error.to_string())?;
    let keys = fetcher.fetch().await.map_err(|error| error.to_string())?;
    Ok(keys.len())
}

fn claim_names(claims: &IssuerClaims) -> ClaimNames {
    ClaimNames {
        user: ClaimName::new(&claims.user),
        name: ClaimName::new(&claims.name),
        avatar: ClaimName::new(&claims.avatar),
        rooms: ClaimName::new(&claims.rooms),
        roles: ClaimName::new(&claims.roles),
        presence: ClaimName::new(&claims.presence),
    }
}
