//! The cookie with which load balancers keep a session on one server.

use std::time::Duration;

use http::HeaderValue;

/// A cookie with the Engine.IO session id, set by the answer that opens a polling session, for
/// [`crate::Builder::cookie`]. The server itself does not read it.
#[derive(Debug, Clone)]
pub struct SessionCookie {
    name: String,
    path: String,
    same_site: SameSite,
    secure: bool,
    max_age: Option<Duration>,
}

/// The `SameSite` attribute of a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Sent with requests of the same site only.
    Strict,
    /// Also sent when a user follows a link to the site.
    Lax,
    /// Sent with all requests. Browsers require [`SessionCookie::secure`] with it.
    None,
}

impl SessionCookie {
    /// A cookie of this name with `Path=/`, `HttpOnly` and `SameSite=Lax`, as Socket.IO sets it.
    pub fn new(name: impl Into<String>) -> Self {
        SessionCookie {
            name: name.into(),
            path: "/".to_owned(),
            same_site: SameSite::Lax,
            secure: false,
            max_age: None,
        }
    }

    /// Replaces the path.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Replaces the `SameSite` attribute.
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Sends the cookie over TLS only.
    pub fn secure(mut self) -> Self {
        self.secure = true;
        self
    }

    /// Keeps the cookie for this time instead of until the browser closes.
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// The `Set-Cookie` header. `None` if the name or an attribute is not valid in a header.
    pub(crate) fn header(&self, sid: &str) -> Option<HeaderValue> {
        let Self {
            name,
            path,
            same_site,
            secure,
            max_age,
        } = self;
        let secure = if *secure { "; Secure" } else { "" };
        let max_age = max_age.map_or_else(String::new, |age| format!("; Max-Age={}", age.as_secs()));
        let cookie = format!("{name}={sid}; Path={path}; HttpOnly; SameSite={same_site:?}{secure}{max_age}");
        HeaderValue::try_from(cookie).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_those_that_were_set() {
        let cookie = SessionCookie::new("io");
        assert_eq!(
            cookie.header("x").unwrap(),
            "io=x; Path=/; HttpOnly; SameSite=Lax"
        );
        let cookie = SessionCookie::new("io")
            .path("/app")
            .same_site(SameSite::None)
            .secure()
            .max_age(Duration::from_mins(1));
        assert_eq!(
            cookie.header("x").unwrap(),
            "io=x; Path=/app; HttpOnly; SameSite=None; Secure; Max-Age=60"
        );
        assert_eq!(SessionCookie::new("i\no").header("x"), None);
    }
}
