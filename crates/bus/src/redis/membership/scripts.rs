//! The Lua scripts of the registry, each with the common prelude.

use std::sync::LazyLock;

use redis::Script;

pub(super) struct Scripts {
    pub(super) heartbeat: Script,
    pub(super) leave: Script,
    pub(super) members: Script,
    pub(super) write: Script,
    pub(super) entries: Script,
    pub(super) take_expired: Script,
    pub(super) confirm_expired: Script,
    pub(super) acquire_lock: Script,
}

macro_rules! script {
    ($name:literal) => {
        Script::new(concat!(
            include_str!("lua/prelude.lua"),
            include_str!(concat!("lua/", $name, ".lua"))
        ))
    };
}

pub(super) static SCRIPTS: LazyLock<Scripts> = LazyLock::new(|| Scripts {
    heartbeat: script!("heartbeat"),
    leave: script!("leave"),
    members: script!("members"),
    write: script!("write"),
    entries: script!("entries"),
    take_expired: script!("take_expired"),
    confirm_expired: script!("confirm_expired"),
    acquire_lock: script!("acquire_lock"),
});
