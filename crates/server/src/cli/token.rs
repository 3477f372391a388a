//! `roomful token`: prints a signed token and nothing else.

use std::process::ExitCode;

use clap::Args;

use super::{Failure, answer, notice};
use crate::{
    clock,
    config::{Config, Span},
    secret::{Keys, Made},
    token::{Claims, is_user_id},
};

/// Flags of `roomful token`.
#[derive(Debug, Args)]
pub(super) struct TokenFlags {
    /// The user's id, the token's "sub".
    #[arg(long, value_name = "ID")]
    user: String,
    /// The name that others see.
    #[arg(long)]
    name: Option<String>,
    /// How long the token lasts, such as 15m or 30d.
    #[arg(long, default_value = "1h", value_parser = Span::parse)]
    ttl: Span,
    /// A room, or a pattern such as "room-*", that the user may enter; may be repeated. Without it: any public room.
    #[arg(long = "room", value_name = "PATTERN")]
    rooms: Vec<String>,
    /// A role, such as moderator; may be repeated.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
}

pub(super) fn run(config: &Config, flags: TokenFlags) -> Result<ExitCode, Failure> {
    if !is_user_id(&flags.user) {
        return Err(Failure::Usage(
            "--user: an id has 1 to 128 characters and no control characters".to_owned(),
        ));
    }
    if flags.ttl.0.is_zero() {
        return Err(Failure::Usage(
            "--ttl: a token lasts a second at least".to_owned(),
        ));
    }
    let (keys, made) = Keys::load(config)?;
    if made == Made::Yes {
        notice(&format!(
            "there was no secret yet, so {} was made; a server believes this token only if it uses the same data folder",
            config.secret_path().display()
        ));
    }
    let claims = Claims::new(flags.user, clock::unix_seconds(), flags.ttl.0)
        .named(flags.name)
        .in_rooms(flags.rooms)
        .with_roles(flags.roles);
    let signer = keys.signer().ok_or_else(|| {
        Failure::Usage(
            "no key here can sign: auth.keys holds public keys alone; set ROOMFUL_AUTH_SECRET or auth.secret"
                .to_owned(),
        )
    })?;
    let token = signer
        .sign(&claims)
        .map_err(|error| Failure::Usage(format!("can't sign: {error}")))?;
    answer(&format!("{token}\n"))
}
