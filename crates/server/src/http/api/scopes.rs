//! The scope that each call of the API needs.

use http::Method;

use crate::scope::{Needed, Scope};

/// Calls that every key may make.
const OPEN_CALLS: &[(&str, &str)] = &[("GET", "/key")];

/// Calls on all data of a user. Each needs all scopes of the calls that touch parts of this data.
const PERSONAL_DATA_CALLS: &[(&str, &str, &[Scope])] = &[
    (
        "GET",
        "/users/{user}/export",
        &[Scope::UsersRead, Scope::MessagesRead, Scope::Moderation],
    ),
    (
        "DELETE",
        "/users/{user}",
        &[Scope::UsersWrite, Scope::MessagesWrite, Scope::Moderation],
    ),
];

/// Every other call with its scope. Only a key with all scopes may make a call that is in none of the lists.
const CALLS: &[(&str, &str, Scope)] = &[
    ("GET", "/rooms", Scope::RoomsRead),
    ("GET", "/rooms/{room}", Scope::RoomsRead),
    ("PUT", "/rooms/{room}", Scope::RoomsWrite),
    ("DELETE", "/rooms/{room}", Scope::RoomsWrite),
    ("GET", "/rooms/{room}/members", Scope::RoomsRead),
    ("PUT", "/rooms/{room}/members/{user}", Scope::RoomsWrite),
    ("DELETE", "/rooms/{room}/members/{user}", Scope::RoomsWrite),
    ("GET", "/rooms/{room}/messages", Scope::MessagesRead),
    ("POST", "/rooms/{room}/messages", Scope::MessagesWrite),
    ("POST", "/notifications", Scope::NotificationsWrite),
    ("GET", "/users/{user}", Scope::UsersRead),
    ("GET", "/users/{user}/rooms", Scope::UsersRead),
    ("PUT", "/users/{user}", Scope::UsersWrite),
    ("POST", "/users/{user}/disconnect", Scope::UsersWrite),
    ("POST", "/users/{user}/revoke", Scope::UsersWrite),
    ("GET", "/users/{user}/blocks", Scope::UsersRead),
    ("PUT", "/users/{user}/blocks/{blocked}", Scope::UsersWrite),
    ("DELETE", "/users/{user}/blocks/{blocked}", Scope::UsersWrite),
    ("GET", "/presence", Scope::UsersRead),
    ("GET", "/audit", Scope::Admin),
    ("GET", "/stats", Scope::StatsRead),
    ("GET", "/stats/history", Scope::StatsRead),
    ("GET", "/connections", Scope::Admin),
    ("GET", "/hooks", Scope::Admin),
    ("GET", "/explain", Scope::Admin),
    ("GET", "/settings", Scope::Admin),
    ("GET", "/webhooks/records", Scope::Admin),
    ("POST", "/webhooks/records/{id}/replay", Scope::Admin),
    ("POST", "/webhooks/replay", Scope::Admin),
    ("GET", "/rooms/{room}/bans", Scope::Moderation),
    ("PUT", "/rooms/{room}/bans/{user}", Scope::Moderation),
    ("DELETE", "/rooms/{room}/bans/{user}", Scope::Moderation),
    ("GET", "/rooms/{room}/mutes", Scope::Moderation),
    ("PUT", "/rooms/{room}/mutes/{user}", Scope::Moderation),
    ("DELETE", "/rooms/{room}/mutes/{user}", Scope::Moderation),
    ("GET", "/moderation/reports", Scope::Moderation),
    ("POST", "/moderation/reports/{id}", Scope::Moderation),
    ("GET", "/bans", Scope::Moderation),
    ("PUT", "/users/{user}/ban", Scope::Moderation),
    ("DELETE", "/users/{user}/ban", Scope::Moderation),
    ("GET", "/mutes", Scope::Moderation),
    ("GET", "/users/{user}/sanctions", Scope::Moderation),
    ("PUT", "/users/{user}/mute", Scope::Moderation),
    ("DELETE", "/users/{user}/mute", Scope::Moderation),
];

/// The scope that a call needs. `path` is the route below `/api/v1`.
pub(super) fn scope_of(method: &Method, path: &str) -> Needed {
    // Routers answer HEAD like GET.
    let method = if method == Method::HEAD {
        "GET"
    } else {
        method.as_str()
    };
    if OPEN_CALLS.contains(&(method, path)) {
        return Needed::Nothing;
    }
    let call = calls().find(|(known, route, _)| *known == method && *route == path);
    call.map_or(Needed::All, |(_, _, needed)| needed)
}

/// The calls that need scopes.
pub(super) fn calls() -> impl Iterator<Item = (&'static str, &'static str, Needed)> {
    let of_one = CALLS
        .iter()
        .map(|(method, path, scope)| (*method, *path, Needed::One(*scope)));
    let of_several = PERSONAL_DATA_CALLS
        .iter()
        .map(|(method, path, scopes)| (*method, *path, Needed::Several(scopes)));
    of_one.chain(of_several)
}

#[cfg(test)]
pub(super) fn open_calls() -> impl Iterator<Item = (&'static str, &'static str)> {
    OPEN_CALLS.iter().copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::scope::Caller;

    /// The router cannot list its routes, so this reads them from its source.
    #[test]
    fn every_route_has_its_calls_here() {
        let (_, routes) = include_str!("mod.rs").split_once("fn routes()").unwrap();
        let (routes, _) = routes.split_once("\n}\n").unwrap();
        let routes: BTreeSet<_> = routes
            .split(".route(")
            .skip(1)
            .map(|route| route.split('"').nth(1).unwrap())
            .collect();
        let open = open_calls().map(|(_, path)| path);
        let known: BTreeSet<_> = calls().map(|(_, path, _)| path).chain(open).collect();
        assert_eq!(routes, known);
    }

    #[test]
    fn a_key_may_make_exactly_the_calls_whose_scopes_it_has() {
        for (method, path, needed) in calls() {
            let found = scope_of(&method.parse().unwrap(), path);
            assert_eq!(found, needed, "{method} {path}");
            for scope in Scope::ALL {
                let others = Scope::ALL.into_iter().filter(|other| *other != scope);
                let is_needed = needed.scopes().contains(&scope);
                let expected = if is_needed { Err(scope) } else { Ok(()) };
                let checked = Caller::new("others", others).check(found);
                assert_eq!(checked, expected, "{method} {path} without {scope}");
            }
            let enough = Caller::new("enough", needed.scopes().iter().copied());
            assert_eq!(enough.check(found), Ok(()));
            assert!(Caller::new("none", []).check(found).is_err());
        }
        assert_eq!(scope_of(&Method::HEAD, "/rooms"), Needed::One(Scope::RoomsRead));
        assert_eq!(scope_of(&Method::PATCH, "/rooms"), Needed::All);
        assert_eq!(
            Caller::new("none", []).check(scope_of(&Method::GET, "/key")),
            Ok(())
        );
    }
}
