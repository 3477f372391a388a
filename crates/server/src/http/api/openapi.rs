//! The OpenAPI description, generated from the calls themselves.

use std::{collections::HashMap, sync::LazyLock};

use http::Method;
use roomful_chat::contract;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        PathItem, RefOr, Schema,
        path::{Operation, ParameterIn},
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use super::{
    audit, blocks, connections, explain, hooks, members, memberships, messages, moderation, notifications,
    own_key, problems::ProblemBody, records, reports, rooms, scopes::scope_of, settings, stats, users,
};
use crate::scope::{Needed, Scope};

#[derive(OpenApi)]
#[openapi(
    info(title = "Roomful", description = "The API for an app's own backend.",
        license(name = "MIT OR Apache-2.0")),
    paths(
        rooms::list, rooms::show, rooms::change, rooms::remove,
        members::list, members::change, members::remove,
        messages::post, messages::list,
        notifications::post,
        users::show, users::change, users::presence, users::export, users::erase, users::disconnect,
        users::revoke,
        memberships::list,
        blocks::list, blocks::put, blocks::remove,
        reports::list, reports::resolve,
        audit::list, stats::show, stats::history, connections::list, hooks::list, own_key::show,
        explain::show, settings::list, records::list, records::replay, records::replay_dead,
        moderation::list_room_bans, moderation::put_room_ban, moderation::remove_room_ban,
        moderation::list_of_user, moderation::list_bans, moderation::put_ban, moderation::remove_ban,
        moderation::list_room_mutes, moderation::put_room_mute, moderation::remove_room_mute,
        moderation::list_mutes, moderation::put_mute, moderation::remove_mute,
    ),
    components(schemas(ProblemBody)),
    security(("key" = [])),
    modifiers(&Key, &ChatTypes)
)]
struct Api;

/// Adds the security scheme of the API key, and to each call the scopes that it needs.
struct Key;

impl Modify for Key {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "The key from `api.key`, `ROOMFUL_API_KEY` or `api.keys`. \
                A call names the scopes that it needs.",
            ))
            .build();
        api.components
            .get_or_insert_default()
            .add_security_scheme("key", SecurityScheme::Http(bearer));
        for (path, item) in &mut api.paths.paths {
            let route = below_version(path);
            for (method, operation) in operations(item) {
                let needed = scope_of(&method, route);
                if needed != Needed::Nothing {
                    let scopes = needed.scopes().iter().copied().map(Scope::name);
                    operation.security = Some(vec![SecurityRequirement::new("key", scopes)]);
                }
            }
        }
    }
}

/// The path of a call below `/api/v1`.
fn below_version(path: &str) -> &str {
    path.strip_prefix("/api/v1").unwrap_or_default()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let all = [
        (Method::GET, &mut item.get),
        (Method::PUT, &mut item.put),
        (Method::POST, &mut item.post),
        (Method::DELETE, &mut item.delete),
        (Method::PATCH, &mut item.patch),
    ];
    let described = all.into_iter();
    described.filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// The names of the query fields of each call, by method and route below `/api/v1`.
static QUERY_FIELDS: LazyLock<HashMap<(Method, String), Vec<String>>> = LazyLock::new(|| {
    let mut fields = HashMap::new();
    for (path, mut item) in Api::openapi().paths.paths {
        for (method, operation) in operations(&mut item) {
            let parameters = operation.parameters.iter().flatten();
            let query = parameters.filter(|parameter| parameter.parameter_in == ParameterIn::Query);
            let names = query.map(|parameter| parameter.name.clone()).collect();
            fields.insert((method, below_version(&path).to_owned()), names);
        }
    }
    fields
});

/// The names of a call's query fields; `None` for a call that is not described.
pub(super) fn query_fields(method: &Method, route: &str) -> Option<&'static [String]> {
    let method = if method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    let call = (method.clone(), route.to_owned());
    QUERY_FIELDS.get(&call).map(Vec::as_slice)
}

/// Adds the types whose JSON the chat writes itself.
struct ChatTypes;

impl Modify for ChatTypes {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let types = contract::history_page("/components/schemas").into_iter();
        // A test checks that each of them is a schema of OpenAPI, too.
        let types = types.filter_map(|(name, schema)| {
            let schema: RefOr<Schema> = serde_json::from_value(schema).ok()?;
            Some((name, schema))
        });
        api.components.get_or_insert_default().schemas.extend(types);
    }
}

/// The description that `/api/openapi.json` serves, as JSON.
pub(super) fn document() -> String {
    // Names and text cannot fail to serialise.
    Api::openapi().to_json().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::{
        super::scopes::{calls, open_calls},
        *,
    };

    #[test]
    fn messages_are_described_as_the_chat_writes_them() {
        let document: Value = serde_json::from_str(&document()).unwrap();
        let schemas = &document["components"]["schemas"];
        for name in contract::history_page("").keys() {
            assert!(schemas[name].is_object(), "{name}");
        }
        let page = &schemas["HistoryPage"]["properties"];
        assert_eq!(page["messages"]["items"]["$ref"], "#/components/schemas/Message");
        assert_eq!(page["upTo"]["type"], "integer");
        assert_eq!(schemas["Message"]["properties"]["avatar"]["type"], "string");
    }

    #[test]
    fn every_call_names_its_scopes_and_every_scope_is_of_a_call() {
        let document: Value = serde_json::from_str(&document()).unwrap();
        let mut described = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, call) in item.as_object().unwrap() {
                let route = path.strip_prefix("/api/v1").unwrap().to_owned();
                if open_calls().any(|call| call == (&*method.to_uppercase(), &*route)) {
                    continue;
                }
                let scopes: Vec<String> = serde_json::from_value(call["security"][0]["key"].clone()).unwrap();
                described.insert((method.to_uppercase(), route, scopes));
            }
        }
        let names = |needed: Needed| needed.scopes().iter().map(ToString::to_string).collect();
        let known = calls().map(|(method, path, needed)| (method.to_owned(), path.to_owned(), names(needed)));
        assert_eq!(described, known.collect());
    }
}
