//! The query string of an Engine.IO request.

use std::borrow::Cow;

/// The parameters in use. Others (`t`, `b64`) are ignored.
#[derive(Default)]
pub(super) struct Query<'a> {
    pub(super) version: Option<Cow<'a, str>>,
    pub(super) transport: Option<Cow<'a, str>>,
    pub(super) sid: Option<Cow<'a, str>>,
}

impl<'a> Query<'a> {
    pub(super) fn parse(query: &'a str) -> Self {
        let mut parsed = Query::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match &*name {
                "EIO" => &mut parsed.version,
                "transport" => &mut parsed.transport,
                "sid" => &mut parsed.sid,
                _ => continue,
            };
            *place = Some(value);
        }
        parsed
    }
}
