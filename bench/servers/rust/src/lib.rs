//! What the servers written in Rust share: the command line that all peers have, a
//! listener that says where it is, TLS, and tokio on one thread.

use std::{env, future::Future, sync::Arc};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::rustls::pki_types::{pem::PemObject, CertificateDer, PrivateKeyDer};
use tokio_rustls::{rustls::ServerConfig, TlsAcceptor};

/// TCP, or TLS over it.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for T {}

/// What a server does with a connection, from the opening handshake on.
pub trait Peer {
    fn handle(stream: impl Stream) -> impl Future<Output = ()> + Send;
}

fn option(name: &str) -> Option<String> {
    env::args().skip_while(|argument| argument != name).nth(1)
}

fn tls_acceptor() -> Option<TlsAcceptor> {
    let certificate = CertificateDer::from_pem_file(option("--tls-cert")?);
    let key = PrivateKeyDer::from_pem_file(option("--tls-key")?);
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.expect("certificate")], key.expect("key"))
        .expect("certificate and key");
    Some(TlsAcceptor::from(Arc::new(config)))
}

async fn accept<P: Peer>() -> std::io::Result<()> {
    let port = option("--port").unwrap_or("0".into());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let tls = tls_acceptor();
    let scheme = if tls.is_some() { "wss" } else { "ws" };
    println!("listening on {scheme}://{}", listener.local_addr()?);

    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let tls = tls.clone();
        tokio::spawn(async move {
            match tls {
                None => P::handle(stream).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        P::handle(stream).await
                    }
                }
            }
        });
    }
}

/// Prints "listening on ws://127.0.0.1:PORT", which the benchmark waits for, and
/// serves for ever.
pub fn serve<P: Peer>() {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .and_then(|runtime| runtime.block_on(accept::<P>()))
        .expect("serve");
}
