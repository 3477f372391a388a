//! The scope that each call of the API needs.

use http::Method;

use crate::scope::Scope;

/// Every call with its scope. A call that is missing here is refused to every key but those with all scopes.
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
    ("POST", "/users/{user}/disconnect", Scope::UsersWrite),
    ("POST", "/users/{user}/revoke", Scope::UsersWrite),
    ("GET", "/presence", Scope::UsersRead),
    ("GET", "/audit", Scope::Admin),
    ("GET", "/stats", Scope::StatsRead),
    ("GET", "/rooms/{room}/bans", Scope::Moderation),
    ("PUT", "/rooms/{room}/bans/{user}", Scope::Moderation),
    ("DELETE", "/rooms/{room}/bans/{user}", Scope::Moderation),
    ("GET", "/rooms/{room}/mutes", Scope::Moderation),
    ("PUT", "/rooms/{room}/mutes/{user}", Scope::Moderation),
    ("DELETE", "/rooms/{room}/mutes/{user}", Scope::Moderation),
    ("GET", "/bans", Scope::Moderation),
    ("PUT", "/users/{user}/ban", Scope::Moderation),
    ("DELETE", "/users/{user}/ban", Scope::Moderation),
    ("GET", "/mutes", Scope::Moderation),
    ("PUT", "/users/{user}/mute", Scope::Moderation),
    ("DELETE", "/users/{user}/mute", Scope::Moderation),
];

/// The scope of a call; `None` for one that has none. `path` is the route below `/api/v1`.
pub(super) fn scope_of(method: &Method, path: &str) -> Option<Scope> {
    // Routers answer HEAD like GET.
    let method = if method == Method::HEAD {
        "GET"
    } else {
        method.as_str()
    };
    let call = CALLS
        .iter()
        .find(|(known, route, _)| *known == method && *route == path);
    call.map(|(_, _, scope)| *scope)
}

#[cfg(test)]
pub(super) fn calls() -> impl Iterator<Item = (&'static str, &'static str, Scope)> {
    CALLS.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::Caller;

    #[test]
    fn a_key_with_one_scope_may_make_exactly_the_calls_of_that_scope() {
        for (method, path, needed) in calls() {
            let found = scope_of(&method.parse().unwrap(), path);
            assert_eq!(found, Some(needed), "{method} {path}");
            for scope in Scope::ALL {
                let key = Caller::new("one", [scope]);
                let expected = if scope == needed { Ok(()) } else { Err(needed) };
                assert_eq!(key.check(found), expected, "{method} {path} with {scope}");
            }
            assert_eq!(Caller::new("all", Scope::ALL).check(found), Ok(()));
            assert!(Caller::new("none", []).check(found).is_err());
        }
        assert_eq!(scope_of(&Method::HEAD, "/rooms"), Some(Scope::RoomsRead));
        assert_eq!(scope_of(&Method::PATCH, "/rooms"), None);
    }
}
