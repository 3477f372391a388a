//! `roomful new-epoch`: gives every room a new epoch, so that clients start over instead of trusting numbers from before a
//! restore. The server does it by itself when it notices; a disk that was set back as a whole it can't.

use std::process::ExitCode;

use super::{Failure, answer, no_store};
use crate::{
    config::Config,
    lifecycle,
    server::StartError,
    store::{self, Lock},
};

pub(super) fn run(config: &Config) -> Result<ExitCode, Failure> {
    store::existing(config).map_err(|path| no_store(&path))?;
    lifecycle::keep_files_private();
    let _lock = Lock::take(config)?;
    let rooms = roomful_store::new_epochs(&config.store_url()).map_err(StartError::Store)?;
    answer(&format!(
        "{rooms} rooms have a new epoch: clients that come back are told to reset\n"
    ))
}
