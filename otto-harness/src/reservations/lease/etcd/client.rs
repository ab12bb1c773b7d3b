//! A client of etcd: calls that are bounded, on whichever member answers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prost::Message;
use tokio::time::timeout;
use tokio_stream::Stream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

use super::wire::{AuthenticateRequest, AuthenticateResponse};
use crate::error::{Error, ErrorKind, Result};
use crate::lab::EtcdOptions;

/// How long a member may take to answer a call.
const CALL: Duration = Duration::from_secs(4);
const CONNECT: Duration = Duration::from_secs(3);
/// All tickets come in one answer.
const LARGEST: usize = 256 << 20;

/// A cluster. Connections are made when they are needed, and again when they were lost.
pub(super) struct Client {
    members: Vec<(String, Channel)>,
    /// The one that answered last.
    current: AtomicUsize,
    options: EtcdOptions,
    token: Mutex<Option<String>>,
}

impl Client {
    /// Has to be called on the runtime that the calls are made on.
    pub(super) fn new(options: &EtcdOptions) -> Result<Self> {
        let refused = |message: String| Error::new(ErrorKind::ReservationBackend, message);
        // The authorities of the system are many to read, for a cluster that needs none.
        let secure = options.endpoints.iter().any(|url| url.starts_with("https://"));
        let tls = if secure { tls(options)? } else { ClientTlsConfig::new() };
        let mut members = Vec::new();
        for url in &options.endpoints {
            let wrong = |error: tonic::transport::Error| {
                refused(format!("{url:?} is no endpoint of etcd, such as https://etcd1:2379")).caused_by(error)
            };
            let mut endpoint = Endpoint::from_shared(url.clone())
                .map_err(wrong)?
                .connect_timeout(CONNECT)
                .tcp_nodelay(true)
                .http2_keep_alive_interval(Duration::from_secs(5))
                .keep_alive_timeout(CONNECT);
            if url.starts_with("https://") {
                endpoint = endpoint.tls_config(tls.clone()).map_err(wrong)?;
            }
            members.push((url.clone(), endpoint.connect_lazy()));
        }
        if members.is_empty() {
            return Err(refused("the reservation backend `etcd` needs `endpoints`".to_owned()));
        }
        Ok(Self { members, current: AtomicUsize::new(0), options: options.clone(), token: Mutex::default() })
    }

    /// A call with one answer. What may have been done although no answer came is for the caller to know.
    pub(super) async fn call<Q, A>(&self, path: &'static str, question: Q) -> Result<A>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let call = |mut grpc: Grpc<Channel>, request: Request<Q>| async move {
            grpc.unary(request, PathAndQuery::from_static(path), ProstCodec::<Q, A>::default()).await
        };
        self.attempt(&question, call).await.map(tonic::Response::into_inner)
    }

    /// A call that goes on answering. `questions` makes what is asked.
    pub(super) async fn stream<Q, A, S>(
        &self,
        path: &'static str,
        questions: impl Fn() -> S + Sync,
    ) -> Result<Streaming<A>>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
        S: Stream<Item = Q> + Send + 'static,
    {
        let call = |mut grpc: Grpc<Channel>, request: Request<()>| {
            let request = request.map(|()| questions());
            let path = PathAndQuery::from_static(path);
            async move { grpc.streaming(request, path, ProstCodec::<Q, A>::default()).await }
        };
        self.attempt(&(), call).await.map(tonic::Response::into_inner)
    }

    /// Asks the member that answered last, then each other, until one can be reached.
    async fn attempt<Q, T, F>(&self, question: &Q, call: impl Fn(Grpc<Channel>, Request<Q>) -> F + Sync) -> Result<T>
    where
        Q: Clone + Send + Sync,
        F: Future<Output = Result<T, Status>> + Send,
    {
        let mut tries = 0;
        let mut authenticated = false;
        loop {
            let index = self.current.load(Ordering::Relaxed) % self.members.len();
            let (url, channel) = &self.members[index];
            let status = match self.once(channel, question, &call).await {
                Ok(answer) => return Ok(answer),
                Err(status) => status,
            };
            let stale = status.code() == Code::Unauthenticated || status.message().contains("invalid auth token");
            if stale && !authenticated && self.options.user.is_some() {
                authenticated = true;
                *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
                continue;
            }
            tries += 1;
            let unreachable = matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Unknown);
            self.current.store(index + 1, Ordering::Relaxed);
            if !unreachable || tries >= self.members.len() {
                return Err(fault(url, &status));
            }
        }
    }

    async fn once<Q, T, F>(
        &self,
        channel: &Channel,
        question: &Q,
        call: &(impl Fn(Grpc<Channel>, Request<Q>) -> F + Sync),
    ) -> Result<T, Status>
    where
        Q: Clone + Send + Sync,
        F: Future<Output = Result<T, Status>> + Send,
    {
        let work = async {
            let mut request = Request::new(question.clone());
            if let Some(token) = self.token(channel).await? {
                let token = token.parse().map_err(|_| Status::internal("etcd gave a token that cannot be sent"))?;
                request.metadata_mut().insert("token", token);
            }
            call(ready(channel).await?, request).await
        };
        timeout(CALL, work)
            .await
            .unwrap_or_else(|_| Err(Status::deadline_exceeded(format!("no answer within {CALL:?}"))))
    }

    /// The token of the user, if there is one to be.
    async fn token(&self, channel: &Channel) -> Result<Option<String>, Status> {
        let Some(user) = &self.options.user else { return Ok(None) };
        if let Some(token) = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            return Ok(Some(token));
        }
        let password = self.options.find_password().map_err(|error| Status::invalid_argument(error.to_string()))?;
        let password = password.map(|password| password.expose().to_owned()).unwrap_or_default();
        let request = Request::new(AuthenticateRequest { name: user.clone(), password });
        let path = PathAndQuery::from_static("/etcdserverpb.Auth/Authenticate");
        let codec = ProstCodec::<AuthenticateRequest, AuthenticateResponse>::default();
        let token = ready(channel).await?.unary(request, path, codec).await?.into_inner().token;
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
        Ok(Some(token))
    }
}

async fn ready(channel: &Channel) -> Result<Grpc<Channel>, Status> {
    let mut grpc = Grpc::new(channel.clone()).max_decoding_message_size(LARGEST);
    grpc.ready().await.map_err(|error| Status::unavailable(chain(&error)))?;
    Ok(grpc)
}

fn tls(options: &EtcdOptions) -> Result<ClientTlsConfig> {
    let read = |path: &std::path::Path| {
        std::fs::read(path).map_err(|error| {
            let message = format!("cannot read {}, which otto.toml names for etcd", path.display());
            Error::new(ErrorKind::ReservationBackend, message).caused_by(error)
        })
    };
    let mut tls = ClientTlsConfig::new();
    tls = match &options.ca {
        Some(ca) => tls.ca_certificate(Certificate::from_pem(read(ca)?)),
        None => tls.with_native_roots(),
    };
    if let (Some(cert), Some(key)) = (&options.cert, &options.key) {
        tls = tls.identity(Identity::from_pem(read(cert)?, read(key)?));
    }
    Ok(tls)
}

/// What a member answered, or that it did not.
fn fault(url: &str, status: &Status) -> Error {
    let what = match status.code() {
        Code::Unavailable => "cannot be reached",
        Code::DeadlineExceeded => "does not answer",
        Code::Unauthenticated | Code::PermissionDenied => "refuses this user",
        _ => "cannot do what is asked",
    };
    let cause = if status.message().is_empty() { format!("{:?}", status.code()) } else { status.message().to_owned() };
    let cause = match std::error::Error::source(status) {
        Some(source) => format!("{cause}: {}", chain(source)),
        None => cause,
    };
    Error::new(ErrorKind::ReservationBackend, format!("etcd at {url} {what}")).caused_by(cause)
}

/// The text of an error and its causes, on one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
