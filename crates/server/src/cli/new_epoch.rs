//! `roomful new-epoch`: gives every room a new epoch, so that clients start over and do not trust positions
//! from before a restore. The server detects most restores itself, but not a restore of the whole disk.

use std::process::ExitCode;

use super::{Failure, missing_store, print};
use crate::{
    config::Config,
    lifecycle,
    start_error::StartError,
    store::{self, Lock},
};

pub(super) fn run(config: &Config) -> Result<ExitCode, Failure> {
    store::check_exists(config).map_err(|path| missing_store(&path))?;
    lifecycle::keep_files_private();
    let _lock = Lock::take(config)?;
    let rooms = roomful_store::new_epochs(&config.store_url()).map_err(StartError::Store)?;
    print(&format!(
        "{rooms} rooms have a new epoch: returning clients will reset\n"
    ))
}
