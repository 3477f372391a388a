//! Several nodes in one process, joined by an in-memory bus: any of them answers for any session.

#![allow(clippy::unwrap_used)] // a test that can't go on fails

mod balancer;
mod death;
mod faulty;
mod nodes;
mod polling;
mod rooms;
mod trust;
mod upgrade;
