//! The contract suite on the in-process bus.

use std::sync::Arc;

use async_trait::async_trait;
use roomful_bus::{Bus, BusError, Hub, bus_contract, contract::Harness};

struct Memory(Hub);

#[async_trait]
impl Harness for Memory {
    async fn connect(&self) -> Result<Arc<dyn Bus>, BusError> {
        Ok(self.0.connect())
    }
}

bus_contract!(async { Memory(Hub::default()) });
