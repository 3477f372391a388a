//! What shows that a request was passed on by another node, and for whom.
//!
//! A header carries the client's address, and an HMAC-SHA-256 under the cluster's secret over that address, the method and the
//! query, which has the session's id in it with its owner's tag. It is good for that session only, so it is of no use to
//! whoever gets hold of one without the session; the secret itself never travels.

use std::net::IpAddr;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use http::{HeaderName, HeaderValue, Request};

pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-roomful-forwarded");

/// The cluster's secret.
pub(super) struct Seal(hmac::Key);

/// The header is there, and no node of this cluster made it for this request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Forged;

impl Seal {
    pub(super) fn new(secret: &[u8]) -> Self {
        Seal(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    pub(super) fn header<B>(&self, request: &Request<B>, client: IpAddr) -> HeaderValue {
        let mac = hmac::sign(&self.0, said(request, client).as_bytes());
        let value = format!("{client} {}", BASE64.encode(mac.as_ref()));
        // An address, a space and base64 are always a header's value.
        HeaderValue::try_from(value).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    /// For which client another node vouches; `None`: the request comes from a client itself.
    pub(super) fn check<B>(&self, request: &Request<B>) -> Result<Option<IpAddr>, Forged> {
        let mut values = request.headers().get_all(HEADER).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        let (client, mac) = value
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .ok_or(Forged)?;
        let client: IpAddr = client.parse().map_err(|_| Forged)?;
        let mac = BASE64.decode(mac).map_err(|_| Forged)?;
        let genuine = hmac::verify(&self.0, said(request, client).as_bytes(), &mac).is_ok();
        if genuine && values.next().is_none() {
            Ok(Some(client))
        } else {
            Err(Forged)
        }
    }
}

fn said<B>(request: &Request<B>, client: IpAddr) -> String {
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
    fn a_header_holds_for_its_own_request_only() {
        let seal = Seal::new(b"0123456789abcdef");
        let mut genuine = request("GET", "sid=a");
        assert_eq!(seal.check(&genuine), Ok(None));
        let header = seal.header(&genuine, CLIENT);
        genuine.headers_mut().insert(HEADER, header.clone());
        assert_eq!(seal.check(&genuine), Ok(Some(CLIENT)));
        assert_eq!(
            Seal::new(b"fedcba9876543210").check(&genuine),
            Err(Forged),
            "another secret"
        );
        for mut other in [request("POST", "sid=a"), request("GET", "sid=b")] {
            other.headers_mut().insert(HEADER, header.clone());
            assert_eq!(seal.check(&other), Err(Forged));
        }
        genuine.headers_mut().append(HEADER, header);
        assert_eq!(seal.check(&genuine), Err(Forged), "twice");
    }

    #[test]
    fn made_up_headers_are_forged() {
        let seal = Seal::new(b"0123456789abcdef");
        let other = seal.header(&request("GET", "sid=a"), CLIENT);
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
            assert_eq!(seal.check(&request), Err(Forged), "{value}");
        }
    }
}
