//! The OpenAPI description, generated from the calls themselves.

use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::{members, messages, notifications, problems::ProblemBody, rooms, stats, users};

#[derive(OpenApi)]
#[openapi(
    info(title = "Roomful", description = "The API for an app's own backend.",
        license(name = "MIT OR Apache-2.0")),
    paths(
        rooms::list, rooms::show, rooms::change, rooms::remove,
        members::list, members::change, members::remove,
        messages::post, messages::list,
        notifications::post,
        users::show, users::presence, users::disconnect, users::revoke,
        stats::show,
    ),
    components(schemas(ProblemBody)),
    security(("key" = [])),
    modifiers(&Key)
)]
struct Api;

/// Adds the security scheme of the API key.
struct Key;

impl Modify for Key {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The key from `api.key` or `ROOMFUL_API_KEY`."))
            .build();
        api.components
            .get_or_insert_default()
            .add_security_scheme("key", SecurityScheme::Http(bearer));
    }
}

/// The description that `/api/openapi.json` serves, as JSON.
pub(super) fn document() -> String {
    // Names and text cannot fail to serialise.
    Api::openapi().to_json().unwrap_or_default()
}
