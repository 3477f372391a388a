//! The bus over a real Redis: the contract, and what only a server can do to it.

use std::sync::Arc;

use async_trait::async_trait;
use roomful_bus::{Bus, BusError, Options, bus_contract, contract::Harness, open};
use roomful_testkit::RedisServer;

/// An end that is connected.
async fn end(url: &str, options: Options) -> Result<Arc<dyn Bus>, BusError> {
    let bus = open(url, options)?;
    bus.check().await?;
    Ok(bus)
}

struct Single(RedisServer);

#[async_trait]
impl Harness for Single {
    async fn connect(&self) -> Result<Arc<dyn Bus>, BusError> {
        end(&self.0.url(), Options::default()).await
    }
}

bus_contract!(async { Single(RedisServer::start().await.unwrap()) });
