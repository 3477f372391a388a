//! The configuration of `roomful-chat`, made from the server's settings.

use std::time::Duration;

use roomful_chat::{
    ChatConfig, ContentRules, KeyTable, Limits, Rate, RateLimits, RecoveryConfig, RoomPattern,
    TokenAlgorithm, TypingLimits, VerifyKey, Visibility,
};

use crate::{
    config::{Algorithm, Config, ConfigError, Origin, VisibleTo},
    secret::{Keys, LoadedKey},
};

/// The number of messages in a page when the client gives no limit. Part of the client contract.
const DEFAULT_PAGE: u32 = 50;

/// The full configuration for chat, with `keys` to check tokens.
pub(crate) fn config(config: &Config, keys: KeyTable) -> ChatConfig {
    ChatConfig {
        keys,
        token_leeway_ms: millis(config.auth.leeway.0),
        clock_skew_ms: millis(config.auth.clock_skew.0),
        max_token_lifetime_ms: millis(config.auth.max_token_lifetime.0),
        expiry_notice_ms: millis(config.auth.expiry_notice.0),
        profiles_cached: config.limits.profiles_cached,
        limits: limits(config),
        content_rules: ContentRules::default(),
        rates: rates(config),
        typing: TypingLimits {
            pass_every_ms: millis(config.typing.interval.0),
            ends_after_ms: millis(config.typing.timeout.0),
        },
        presence_grace_ms: millis(config.presence.grace.0),
        announce_max: config.presence.announce_up_to,
        unread_interval_ms: millis(config.rooms.unread_interval.0),
        rooms_per_user: config.rooms.per_user,
        reserved_rooms: config
            .rooms
            .reserved
            .iter()
            .map(|name| RoomPattern::new(name))
            .collect(),
        newcomers_start_read: config.rooms.newcomers_start_read,
        presence_visible_to: match config.presence.visible_to {
            VisibleTo::SharedRooms => Visibility::SharedRooms,
            VisibleTo::Everyone => Visibility::Everyone,
        },
        create_rooms: config.rooms.create_on_join,
        // A sync and a page of history take at most three quarters of an outbox, so live events still fit
        // behind them.
        sync_bytes: config.socket.outbox_bytes.0 / 4,
        sends_in_flight: config.limits.sends_in_flight,
        posts_in_flight: config.limits.posts_in_flight,
        room_queue: config.limits.sends_queued_per_room,
        server_queue: config.limits.sends_queued,
        join_buffer: config.limits.join_buffer,
        recovery: RecoveryConfig {
            window_ms: millis(config.recovery.window.0),
            max_events: config.recovery.max_events,
            // All missed events are queued at once and must fit into the outbox beside other frames.
            max_bytes: config.recovery.max_size.0.min(config.socket.outbox_bytes.0 / 2),
            lost_per_user: config.recovery.sessions_per_user,
            concurrency: config.recovery.concurrency,
        },
        notices_in_flight: config.notifications.in_flight,
        unsaved_marks: config.notifications.unsaved_marks,
        keep_edits: config.history.keep_edits,
        hooks: None,
        log_connections: config.log.connections,
    }
}

/// The limits of messages and requests.
pub(crate) fn limits(config: &Config) -> Limits {
    let limits = &config.limits;
    Limits {
        text_bytes: limits.text.0,
        client_id_chars: limits.client_id,
        mentions: limits.mentions,
        metadata_bytes: limits.metadata.0,
        default_page: DEFAULT_PAGE.min(limits.history_page),
        max_page: limits.history_page,
        inbox_page: limits.inbox_page,
        rooms_per_sync: limits.rooms_per_sync,
        users_per_subscribe: config.presence.users_per_subscribe,
        watched_per_socket: config.presence.subscriptions,
        status_text_chars: config.presence.status_text,
        rooms_per_socket: limits.rooms_per_socket,
        online_users: limits.online_users,
        reason_chars: limits.reason,
        slow_mode_seconds: limits.slow_mode.0.as_secs(),
        blocks_per_user: limits.blocks,
        reports_per_day: config.reports.per_day,
        notification_users: config.notifications.recipients,
        notification_body_bytes: config.notifications.body.0,
        notification_data_bytes: config.notifications.data.0,
        online_bytes: config.socket.outbox_bytes.0 / 4,
    }
}

fn rates(config: &Config) -> RateLimits {
    let limits = &config.limits;
    RateLimits {
        enabled: limits.rates,
        connection: Rate::new(limits.events_per_second, limits.events_burst),
        user: Rate::new(limits.events_per_second_per_user, limits.events_burst_per_user),
        address: Rate::new(limits.events_per_second_per_ip, limits.events_burst_per_ip),
        connects_per_address: Rate::new(limits.connects_per_second_per_ip, limits.connects_burst_per_ip),
        moderation: Rate::new(
            limits.moderations_per_second_per_user,
            limits.moderations_burst_per_user,
        ),
        connections_per_user: limits.connections_per_user,
        // 0 turns the limit off.
        refusals_before_close: if limits.close_after_refused == 0 {
            u32::MAX
        } else {
            limits.close_after_refused
        },
        refusal_pause: limits.refusal_pause.0,
        tracked: limits.tracked,
    }
}

/// A duration in milliseconds, saturating.
pub(crate) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// The keys that verify tokens: the secret, the second secret, then `auth.keys`.
pub(crate) fn keys(keys: &Keys) -> Result<KeyTable, ConfigError> {
    let secrets = [
        ("auth.secret", keys.secret()),
        ("auth.second_secret", keys.second_secret()),
    ];
    let secrets = secrets.into_iter().filter_map(|(key, secret)| {
        let secret = VerifyKey::secret(None, secret?.as_bytes());
        Some(secret.map_err(|error| ConfigError::key(Origin::Default, key, error)))
    });
    let table = keys
        .table()
        .iter()
        .map(|key| verify_key(key).map_err(|error| ConfigError::key(key.origin.clone(), "auth.keys", error)));
    secrets.chain(table).collect()
}

fn verify_key(key: &LoadedKey) -> Result<VerifyKey, roomful_chat::ChatError> {
    let algorithm = match key.algorithm {
        Algorithm::HS256 => return VerifyKey::secret(key.kid.clone(), key.material.as_bytes()),
        Algorithm::RS256 => TokenAlgorithm::Rs256,
        Algorithm::ES256 => TokenAlgorithm::Es256,
        Algorithm::EdDSA => TokenAlgorithm::EdDsa,
    };
    VerifyKey::public_pem(key.kid.clone(), algorithm, key.material.as_bytes())
}
