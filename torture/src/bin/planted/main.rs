//! The server with a bug planted in its store, which the variable `PLANTED_BUG` names. It exists so that the
//! tests of the torture program can prove that the program finds bugs of each kind.

mod duplicate_on_retry;
mod forget_acked;
mod ignore_mutes;
mod keep_entries;
mod no_bug;
mod skip_delivery;

use std::{env, process::ExitCode, sync::Arc};

use roomful::StoreDecorator;
use roomful_store::Store;
use roomful_testkit::hooked_store::{HookedStore, StoreHooks};

use self::duplicate_on_retry::DuplicateOnRetry;
use self::forget_acked::ForgetAcked;
use self::ignore_mutes::IgnoreMutes;
use self::keep_entries::KeepEntries;
use self::no_bug::NoBug;
use self::skip_delivery::SkipDelivery;

fn main() -> ExitCode {
    let bug = env::var("PLANTED_BUG").unwrap_or_default();
    roomful::main_with_store(decorator(&bug).expect("PLANTED_BUG names a bug"))
}

/// Plants the bug of this name.
fn decorator(bug: &str) -> Option<StoreDecorator> {
    let decorate: StoreDecorator = match bug {
        "forget-acked" => |store| hooked(store, ForgetAcked),
        "skip-delivery" => |store| hooked(store, SkipDelivery::default()),
        "duplicate-on-retry" => |store| hooked(store, DuplicateOnRetry::default()),
        "ignore-mutes" => |store| hooked(store, IgnoreMutes),
        "keep-entries" => |store| hooked(store, KeepEntries),
        "none" => |store| hooked(store, NoBug),
        _ => return None,
    };
    Some(decorate)
}

fn hooked(store: Arc<dyn Store>, hooks: impl StoreHooks) -> Arc<dyn Store> {
    Arc::new(HookedStore::new(store, hooks))
}
