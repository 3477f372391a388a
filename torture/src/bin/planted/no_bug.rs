//! No bug: the hooks alone change nothing.

use roomful_testkit::hooked_store::StoreHooks;

pub(crate) struct NoBug;

impl StoreHooks for NoBug {}
