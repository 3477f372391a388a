//! HTTPS and WSS without a proxy. The server gets streams from any source; here from rustls.
//!
//! `cargo run -p roomful-socket --example tls`, which makes a certificate for `localhost` that no client
//! trusts: use `io("https://localhost:3443", {rejectUnauthorized: false})` in Node to try it.

use std::{error::Error, net::SocketAddr, sync::Arc};

use axum::extract::ConnectInfo;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use roomful_socket::{Event, ForwardedHost, Socket, SocketService, WebSocketServer};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tower::ServiceBuilder;

/// Serves the requests of one connection.
async fn serve(service: SocketService, tls: TlsAcceptor, stream: TcpStream, peer: SocketAddr) {
    let Ok(stream) = tls.accept(stream).await else {
        return;
    };
    let service = ServiceBuilder::new()
        .map_request(move |mut request: http::Request<hyper::body::Incoming>| {
            let (host, scheme) = (None, Some("https".into()));
            request.extensions_mut().insert(ForwardedHost { host, scheme });
            request.extensions_mut().insert(ConnectInfo(peer));
            request
        })
        .service(service);
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service))
        .await;
}

/// A certificate for tests. A real server reads its own from files.
fn self_signed() -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), rcgen::Error> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    Ok((made.cert.der().clone(), key))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = WebSocketServer::builder().build();
    server
        .of("/")
        .on("secure?", |socket: Socket, mut event: Event| async move {
            if let Some(ack) = event.take_ack() {
                let _ = ack.send(&socket.handshake().secure);
            }
        });
    let (certificate, key) = self_signed()?;
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    let tls = TlsAcceptor::from(Arc::new(config));
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:3443")).await?;
    loop {
        let (stream, peer) = listener.accept().await?;
        tokio::spawn(serve(server.service(), tls.clone(), stream, peer));
    }
}
