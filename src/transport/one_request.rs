//! One HTTP request over a connection of its own, for the credential sources, which send a few an hour.
//!
//! It uses the same resolver, proxies and TLS as the object's requests, so that certificates and proxies that work for
//! one work for the other.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_rustls::{HttpsConnectorBuilder, MaybeHttpsStream};
use tokio::time::timeout;
use tower_service::Service;

use crate::error::{Error, Result};
use crate::transport::connect::TcpConnector;
use crate::transport::proxy::Proxies;
use crate::transport::tls::{self, Tls};
use crate::transport::tls_error;
use crate::transport::tunnel::{HopStream, ProxyConnector};

/// A connection to a host, which may lead through a proxy.
type HostStream = MaybeHttpsStream<HopStream>;

/// Documents of credential sources have a few KiB.
const BODY_BYTES_MAX: usize = 1 << 20;

/// The source of the error for a host that was reached and did not answer within this time.
#[derive(Debug)]
pub(crate) struct NoAnswer(Duration);

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no answer within {:?}", self.0)
    }
}

impl std::error::Error for NoAnswer {}

/// Sends `request`, whose target is an absolute URI, and reads the whole response.
pub(crate) async fn send(
    request: Request<Full<Bytes>>,
    proxies: &Proxies,
    tls: &Tls,
    connect_timeout: Duration,
    read_timeout: Duration,
) -> Result<Response<Bytes>> {
    let host = request.uri().authority().map(|a| a.as_str().to_owned()).unwrap_or_default();
    let stream = connect(request.uri(), &host, proxies, tls, connect_timeout).await?;
    timeout(read_timeout, exchange(stream, request, &host)).await.unwrap_or_else(|_| {
        Err(Error::network(format!("the request to {host} failed")).with_source(NoAnswer(read_timeout)))
    })
}

/// Opens a connection to the scheme, host and port of `uri`; messages call it `host`.
async fn connect(uri: &Uri, host: &str, proxies: &Proxies, tls: &Tls, limit: Duration) -> Result<HostStream> {
    let is_https = uri.scheme_str() == Some("https");
    // Metadata services are plain HTTP, and link-local or on this host: no proxy can reach them.
    let proxy = if is_https { proxies.of(uri)? } else { None };
    let config = if is_https { tls.client_config()? } else { tls::unused()? };
    let prefix = match &proxy {
        Some(proxy) => format!("cannot connect to {host} through the proxy {proxy}"),
        None => format!("cannot connect to {host}"),
    };
    let route = ProxyConnector::new(TcpConnector::plain(), proxy, &config);
    let mut connector = HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .wrap_connector(route);
    match timeout(limit, connector.call(uri.clone())).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(cause)) => match cause.downcast::<Error>() {
            Ok(error) => Err(*error),
            Err(cause) => {
                let explained = tls_error::explain(&*cause, &prefix, tls);
                Err(explained.unwrap_or_else(|| Error::network(prefix).with_source(cause)))
            }
        },
        Err(_) => Err(Error::network(format!("{prefix}: timed out after {limit:?}"))),
    }
}

/// Sends `request` over `stream` and reads the response. The connection ends with it.
async fn exchange(
    stream: HostStream,
    mut request: Request<Full<Bytes>>,
    host: &str,
) -> Result<Response<Bytes>> {
    let failed = |e| Error::network(format!("the request to {host} failed")).with_source(e);
    let (mut sender, connection) = http1::handshake(stream).await.map_err(failed)?;
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    *request.uri_mut() = target.parse::<Uri>().unwrap_or_default();
    let exchange = async {
        let (head, body) = sender.send_request(request).await.map_err(failed)?.into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX)
            .collect()
            .await
            .map_err(|e| Error::network(format!("cannot read the response of {host}")).with_source(e))?;
        Ok(Response::from_parts(head, body.to_bytes()))
    };
    tokio::pin!(exchange);
    tokio::pin!(connection);
    tokio::select! {
        response = &mut exchange => response,
        _ = &mut connection => exchange.await,
    }
}
