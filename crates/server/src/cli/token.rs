//! `roomful token`: prints a signed token, and nothing else on stdout.

use std::process::ExitCode;

use clap::Args;

use super::{Failure, print, print_notice};
use crate::{
    clock,
    config::{Config, Span},
    secret::{Generated, Keys},
    token::{Claims, is_user_id},
};

/// Flags of `roomful token`.
#[derive(Debug, Args)]
pub(super) struct TokenFlags {
    /// User id, the token's "sub".
    #[arg(long, value_name = "ID")]
    user: String,
    /// Display name.
    #[arg(long)]
    name: Option<String>,
    /// Lifetime, such as 15m or 30d.
    #[arg(long, default_value = "1h", value_parser = Span::parse)]
    ttl: Span,
    /// Room, or pattern such as "room-*", that the user may enter; repeatable. Default: any public room.
    #[arg(long = "room", value_name = "PATTERN")]
    rooms: Vec<String>,
    /// Role, such as moderator; repeatable.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
}

pub(super) fn run(config: &Config, flags: TokenFlags) -> Result<ExitCode, Failure> {
    if !is_user_id(&flags.user) {
        return Err(Failure::Usage(
            "--user: an id must have 1 to 128 characters and no control characters".to_owned(),
        ));
    }
    if flags.ttl.0.is_zero() {
        return Err(Failure::Usage("--ttl: must be at least one second".to_owned()));
    }
    let longest = config.auth.max_token_lifetime;
    if flags.ttl.0 > longest.0 {
        return Err(Failure::Usage(format!(
            "--ttl: must be at most {longest:?} (auth.max_token_lifetime), or the server refuses the token"
        )));
    }
    let (keys, generated) = Keys::read_or_generate(config)?;
    if generated == Generated::Yes {
        print_notice(&format!(
            "generated a secret in {}; only a server with the same data folder accepts this token",
            config.secret_path().display()
        ));
    }
    let claims = Claims::new(flags.user, clock::unix_seconds(), flags.ttl.0)
        .named(flags.name)
        .in_rooms(flags.rooms)
        .with_roles(flags.roles);
    let signer = keys.signer().ok_or_else(|| {
        Failure::Usage(
            "there is no key to sign with: auth.keys has only public keys; set ROOMFUL_AUTH_SECRET or \
             auth.secret"
                .to_owned(),
        )
    })?;
    let token = signer
        .sign(&claims)
        .map_err(|error| Failure::Usage(format!("failed to sign the token: {error}")))?;
    print(&format!("{token}\n"))
}
