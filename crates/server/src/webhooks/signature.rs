//! Signature by the Standard Webhooks specification: HMAC-SHA256 over `id.timestamp.body`.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use parking_lot::RwLock;

/// Signing keys of an endpoint: one, or two during a rotation. Clones share their keys.
#[derive(Clone)]
pub(crate) struct SigningKeys(Arc<RwLock<Vec<hmac::Key>>>);

impl SigningKeys {
    /// Signs with these secrets.
    pub(crate) fn new(secrets: &[Vec<u8>]) -> Self {
        let keys = Self(Arc::default());
        keys.replace(secrets);
        keys
    }

    /// Signs with these secrets from now on, in this value and all its clones.
    pub(crate) fn replace(&self, secrets: &[Vec<u8>]) {
        let key = |secret: &Vec<u8>| hmac::Key::new(hmac::HMAC_SHA256, secret);
        *self.0.write() = secrets.iter().map(key).collect();
    }

    /// Value of the header `webhook-signature`: a signature for each key, separated by spaces.
    pub(super) fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let sign = |key: &hmac::Key| {
            let mut context = hmac::Context::with_key(key);
            context.update(format!("{id}.{timestamp}.").as_bytes());
            context.update(body);
            format!("v1,{}", STANDARD.encode(context.sign()))
        };
        let signatures: Vec<_> = self.0.read().iter().map(sign).collect();
        signatures.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_implementation_agrees() {
        let secrets = [vec![7u8; 32], vec![8u8; 32]];
        let body = b"{\"type\":\"user.online\"}";
        let ours = SigningKeys::new(&secrets).sign("evt_1", 1_700_000_000, body);
        let signatures = secrets.clone().map(|secret| {
            let theirs = standardwebhooks::Webhook::from_bytes(secret).unwrap();
            theirs.sign("evt_1", 1_700_000_000, body).unwrap()
        });
        assert_eq!(ours, signatures.join(" "));
        assert_ne!(
            ours,
            SigningKeys::new(&secrets).sign("evt_2", 1_700_000_000, body)
        );
    }
}
