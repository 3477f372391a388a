//! The signature that proves that another node forwarded a request, and for which client.
//!
//! A header carries the client's address and an HMAC-SHA-256 under the cluster's secret over that address,
//! the method and the query, which contains the session id with its owner's tag. The signature is valid for
//! that session only, so it is useless without the session id. The secret itself is never sent.

use std::{net::IpAddr, sync::Arc};

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use http::{HeaderName, HeaderValue, Request};

pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-roomful-forwarded");

/// Signs with the cluster's secret. Accepts signatures of further secrets too, during a rotation.
pub(super) struct RequestSigner {
    key: hmac::Key,
    also_accepted: Vec<hmac::Key>,
}

/// The header is present, but no node of this cluster signed it for this request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidSignature;

impl RequestSigner {
    pub(super) fn new(secret: &[u8], also_accepted: &[Arc<[u8]>]) -> Self {
        let key = |secret: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, secret);
        RequestSigner {
            key: key(secret),
            also_accepted: also_accepted.iter().map(|secret| key(secret)).collect(),
        }
    }

    pub(super) fn header<B>(&self, request: &Request<B>, client: IpAddr) -> HeaderValue {
        let mac = hmac::sign(&self.key, signed_text(request, client).as_bytes());
        let value = format!("{client} {}", BASE64.encode(mac.as_ref()));
        // An address, a space and base64 always form a valid header value.
        HeaderValue::try_from(value).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    /// The client address that another node vouches for. `None` if the request comes from a client itself.
    pub(super) fn check<B>(&self, request: &Request<B>) -> Result<Option<IpAddr>, InvalidSignature> {
        let mut values = request.headers().get_all(HEADER).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        let (client, mac) = value
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .ok_or(InvalidSignature)?;
        let client: IpAddr = client.parse().map_err(|_| InvalidSignature)?;
        let mac = BASE64.decode(mac).map_err(|_| InvalidSignature)?;
        let text = signed_text(request, client);
        let mut keys = [&self.key].into_iter().chain(&self.also_accepted);
        let genuine = keys.any(|key| hmac::verify(key, text.as_bytes(), &mac).is_ok());
        if genuine && values.next().is_none() {
            Ok(Some(client))
        } else {
            Err(InvalidSignature)
        }
    }
}

fn signed_text<B>(request: &Request<B>, client: IpAddr) -> String {
    let query = request.uri().query().unwrap_or_default();
    format!("roomful-forwarded-1\n{client}\n{}\n{query}", request.method())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    fn request(method: &str, query: &str) -> Request<()> {
        Request::builder()
            .method(method)
            .uri(format!("/x/?{query}"))
            .body(())
            .unwrap()
    }

    #[test]
    fn a_signature_is_valid_for_its_own_request_only() {
        let request_signature = RequestSigner::new(b"0123456789abcdef", &[]);
        let mut genuine = request("GET", "sid=a");
        assert_eq!(request_signature.check(&genuine), Ok(None));
        let header = request_signature.header(&genuine, CLIENT);
        genuine.headers_mut().insert(HEADER, header.clone());
        assert_eq!(request_signature.check(&genuine), Ok(Some(CLIENT)));
        assert_eq!(
            RequestSigner::new(b"fedcba9876543210", &[]).check(&genuine),
            Err(InvalidSignature),
            "another secret"
        );
        for mut other in [request("POST", "sid=a"), request("GET", "sid=b")] {
            other.headers_mut().insert(HEADER, header.clone());
            assert_eq!(request_signature.check(&other), Err(InvalidSignature));
        }
        genuine.headers_mut().append(HEADER, header);
        assert_eq!(request_signature.check(&genuine), Err(InvalidSignature), "twice");
    }

    #[test]
    fn invented_signatures_are_invalid() {
        let request_signature = RequestSigner::new(b"0123456789abcdef", &[]);
        let other = request_signature.header(&request("GET", "sid=a"), CLIENT);
        let swapped = other.to_str().unwrap().replace("192.0.2.7", "192.0.2.8");
        for value in [
            "",
            " ",
            "192.0.2.7",
            "192.0.2.7 ",
            "192.0.2.7 AAAA",
            "x AAAA",
            &swapped,
        ] {
            let mut request = request("GET", "sid=a");
            request.headers_mut().insert(HEADER, value.parse().unwrap());
            assert_eq!(
                request_signature.check(&request),
                Err(InvalidSignature),
                "{value}"
            );
        }
    }

    #[test]
    fn a_second_secret_is_accepted_but_does_not_sign() {
        let (old, new) = (b"0123456789abcdef", b"fedcba9876543210");
        let mut forwarded = request("GET", "sid=a");
        let signature = RequestSigner::new(old, &[]).header(&forwarded, CLIENT);
        forwarded.headers_mut().insert(HEADER, signature.clone());
        let rotating = RequestSigner::new(new, &[Arc::from(&old[..])]);
        assert_eq!(rotating.check(&forwarded), Ok(Some(CLIENT)));
        assert_eq!(
            RequestSigner::new(new, &[]).check(&forwarded),
            Err(InvalidSignature)
        );
        assert_ne!(rotating.header(&forwarded, CLIENT), signature);
    }
}
