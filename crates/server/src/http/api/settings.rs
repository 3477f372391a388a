//! The API call that lists the settings in force, with warnings about unsafe ones.

use axum::{Extension, Json, extract::State};
use roomful_chat::ChatServer;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::problems::Problems;
use crate::{
    config::{self, Origin, Shown},
    exposure,
    in_force::InForce,
};

/// The settings of a node.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NodeSettings {
    /// The name of the node that answers.
    node: String,
    /// All settings in the order of the configuration's reference.
    settings: Vec<Setting>,
    /// Warnings about unsafe settings; may be empty.
    warnings: Vec<SettingWarning>,
}

/// A setting.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Setting {
    /// The dotted key. Tables of a list have their index in it, as in `webhooks[0].name`.
    key: String,
    /// The value; absent for a secret. A URL has `…` in place of parts that may be secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    /// Whether a secret is set; absent for other settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    set: Option<bool>,
    source: SettingSource,
}

/// Where the value of a setting comes from. A secret from a file of its own is from `file`.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum SettingSource {
    Default,
    File,
    Environment,
    Argument,
}

/// An unsafe setting.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SettingWarning {
    /// The key of the unsafe setting.
    key: String,
    /// The risk, and how to remove it.
    text: String,
}

/// Lists the settings in force of the node that answers.
#[utoipa::path(get, operation_id = "listSettings", path = "/api/v1/settings", tag = "stats",
    responses((status = 200, body = NodeSettings), Problems))]
pub(super) async fn list(
    State(chat): State<ChatServer>,
    Extension(in_force): Extension<InForce>,
) -> Json<NodeSettings> {
    let report = in_force.report();
    Json(NodeSettings {
        node: chat.node().to_owned(),
        settings: report.settings.iter().map(Setting::from).collect(),
        warnings: report.warnings.iter().map(SettingWarning::from).collect(),
    })
}

impl From<&config::Setting> for Setting {
    fn from(setting: &config::Setting) -> Self {
        let (value, set) = match &setting.shown {
            Shown::Value(value) => (serde_json::to_value(value).ok(), None),
            Shown::Secret { is_set } => (None, Some(*is_set)),
        };
        Self {
            key: setting.key.clone(),
            value,
            set,
            source: (&setting.origin).into(),
        }
    }
}

impl From<&Origin> for SettingSource {
    fn from(origin: &Origin) -> Self {
        match origin {
            Origin::Default => Self::Default,
            Origin::File(_) => Self::File,
            Origin::Env(_) => Self::Environment,
            Origin::Flag(_) => Self::Argument,
        }
    }
}

impl From<&exposure::Warning> for SettingWarning {
    fn from(warning: &exposure::Warning) -> Self {
        Self {
            key: warning.key.clone(),
            text: warning.text.clone(),
        }
    }
}
