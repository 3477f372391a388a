//! The settings in force and the warnings about them, as operators see them.

use std::sync::Arc;

use parking_lot::RwLock;

use crate::{
    config::{Config, ConfigError, DEFAULT_TEXT, FlatSettings, Setting, listing},
    exposure::{self, Warning},
};

/// The settings in force. A reload replaces them. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct InForce(Arc<RwLock<Arc<Report>>>);

/// The settings at one time.
#[derive(Debug)]
pub(crate) struct Report {
    /// In the order of the reference, without secrets.
    pub(crate) settings: Vec<Setting>,
    /// Warnings about unsafe settings.
    pub(crate) warnings: Vec<Warning>,
}

impl InForce {
    /// The settings of a server that starts with `config`.
    pub(crate) fn new(config: &Config) -> Self {
        let report = Report::new(&config.flat, config);
        Self(Arc::new(RwLock::new(Arc::new(report))))
    }

    /// Replaces the settings after a reload.
    ///
    /// # Errors
    /// If the settings are not those of a valid configuration.
    pub(crate) fn replace(&self, settings: &FlatSettings) -> Result<(), ConfigError> {
        let report = Report::new(settings, &Config::of(settings)?);
        *self.0.write() = Arc::new(report);
        Ok(())
    }

    pub(crate) fn report(&self) -> Arc<Report> {
        Arc::clone(&self.0.read())
    }
}

impl Report {
    fn new(settings: &FlatSettings, config: &Config) -> Self {
        Self {
            settings: listing(settings, DEFAULT_TEXT),
            warnings: exposure::warnings(config),
        }
    }
}
