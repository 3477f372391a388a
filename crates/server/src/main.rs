//! The entry point of the `roomful` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    roomful::main()
}
