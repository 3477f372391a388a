//! The `roomful` binary.
fn main() {}
