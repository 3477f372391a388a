//! Signature by the Standard Webhooks specification: HMAC-SHA256 over `id.timestamp.body`.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Signing key of an endpoint.
pub(super) struct SigningKey(hmac::Key);

impl SigningKey {
    pub(super) fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// Value of the header `webhook-signature`.
    pub(super) fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_implementation_agrees() {
        let secret = [7u8; 32];
        let theirs = standardwebhooks::Webhook::from_bytes(secret.to_vec()).unwrap();
        let body = b"{\"type\":\"user.online\"}";
        let ours = SigningKey::new(&secret).sign("evt_1", 1_700_000_000, body);
        assert_eq!(ours, theirs.sign("evt_1", 1_700_000_000, body).unwrap());
        assert_ne!(ours, SigningKey::new(&secret).sign("evt_2", 1_700_000_000, body));
    }
}
