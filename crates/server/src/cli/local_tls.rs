//! TLS of a command to the server on its own machine, which needs no proof of the server's name.

use std::{io, net::TcpStream, sync::Arc};

use roomful_store::AnyCertificate;
use rustls::{ClientConfig, ClientConnection, StreamOwned, crypto::aws_lc_rs, pki_types::ServerName};

/// A TLS connection over `stream`. Any certificate will do: the listen address is an address of this machine.
pub(super) fn over(stream: TcpStream) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate::new(provider)))
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(connection, stream))
}
