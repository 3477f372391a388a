//! `roomful schema`: prints the description of every event.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use roomful_chat::contract;

use super::{Failure, print};

#[derive(Debug, Clone, Copy, Args)]
pub(super) struct SchemaFlags {
    /// The format of the description.
    #[arg(long, value_enum, default_value_t = Format::Asyncapi)]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// `AsyncAPI` 3, as `/api/asyncapi.json` serves it.
    Asyncapi,
    /// One JSON Schema, draft 7.
    JsonSchema,
}

pub(super) fn run(flags: SchemaFlags) -> Result<ExitCode, Failure> {
    print(&match flags.format {
        Format::Asyncapi => contract::asyncapi(),
        Format::JsonSchema => contract::json_schema(),
    })
}
