//! `roomful default-config`: prints the documented defaults as a configuration file.

use std::process::ExitCode;

use super::{Failure, print};
use crate::config::DEFAULT_TEXT;

pub(super) fn run() -> Result<ExitCode, Failure> {
    print(DEFAULT_TEXT)
}
