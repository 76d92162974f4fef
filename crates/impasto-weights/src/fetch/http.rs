//! One request over HTTP: sent on a thread of its own, received here, so that a
//! stop is obeyed and a stall noticed while the network says nothing.

use std::error::Error;
use std::io::{self, ErrorKind, Read};
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::config::Config;
use ureq::http::header::{self, HeaderMap, HeaderName};
use ureq::http::{Response, Uri, uri::Scheme};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::FetchError;
use crate::error::shown;

const MAX_REDIRECTS: u32 = 5;

/// How many bytes are read at a time.
const CHUNK: usize = 128 << 10;

/// How often a silent exchange asks whether to stop.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// An address that can be fetched from.
#[derive(Clone, Debug)]
pub(super) struct Url {
    uri: Uri,
    /// Without user, password, query and fragment, and fit for a terminal.
    shown: String,
}

impl Url {
    /// Reads an `https` or `http` address.
    pub fn parse(text: &str) -> Result<Self, FetchError> {
        // What cannot be taken apart may still hold a password or a token.
        let head = text.split(['?', '#']).next().unwrap_or_default();
        let head = head.rsplit('@').next().unwrap_or_default();
        let wrong = |reason| FetchError::Address {
            url: shown(head, 200),
            reason,
        };
        let uri: Uri =
            (text.parse()).map_err(|_| wrong("it is not an address such as https://HOST/FILE"))?;
        let scheme = uri.scheme().ok_or_else(|| {
            wrong("it is neither an address such as https://HOST/FILE nor the name of a file")
        })?;
        if ![Scheme::HTTPS, Scheme::HTTP].contains(scheme) {
            return Err(wrong("only https and http addresses can be fetched"));
        }
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let host = authority.rsplit('@').next().unwrap_or_default();
        if host.is_empty() {
            return Err(wrong("it names no host"));
        }
        let shown = shown(&format!("{scheme}://{host}{}", uri.path()), 500);
        Ok(Self { uri, shown })
    }

    /// The address as it may be shown and kept.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The name under which a browser would save it, if that is a plain one.
    pub fn file_name(&self) -> Option<&str> {
        let name = self.uri.path().rsplit('/').next()?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        (!name.is_empty() && !name.starts_with('-') && name.bytes().all(plain)).then_some(name)
    }

    fn is_secure(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTPS)
    }

    /// Whether this machine itself answers.
    fn is_local(&self) -> bool {
        let host = self.uri.host().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let address: Option<IpAddr> = address.parse().ok();
        host.eq_ignore_ascii_case("localhost") || address.is_some_and(|ip| ip.is_loopback())
    }
}

/// What an answer says before its content.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    pub status: u16,
    /// How much content is to come.
    pub length: Option<u64>,
    /// First and last byte, and the size of the whole file.
    pub range: Option<(u64, u64, u64)>,
    /// What later requests name, so that all parts are of the same version.
    pub validator: Option<String>,
    pub retry_after: Option<Duration>,
    /// Whether the content is compressed, which was not asked for.
    pub encoded: bool,
}

/// What a transfer reports.
#[derive(Debug)]
pub(super) enum TransferEvent {
    Answer(Answer),
    Bytes(Vec<u8>),
    End,
}

/// Why an exchange broke off.
#[derive(Debug)]
pub(super) enum TransferError {
    Stopped,
    /// Nothing is there that answers.
    Unreachable(String),
    /// It may go better the next time.
    Passing(String),
    /// It will go the same way every time.
    Lasting(String),
}

/// What bytes of a file to ask for.
#[derive(Clone, Debug, Default)]
pub(super) struct RangeRequest {
    /// The first byte and the last. Without either, the whole file.
    pub first: u64,
    pub last: Option<u64>,
    /// The version of which a part is meant.
    pub validator: Option<String>,
}

/// A request under way. Dropped, it ends.
pub(super) struct Exchange {
    agent: Agent,
    received: Receiver<Result<TransferEvent, TransferError>>,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.agent.clone().shutdown();
    }
}

impl Exchange {
    /// Asks. `connect` bounds how long a host's addresses are tried in turn.
    pub fn start(url: &Url, ask: RangeRequest, connect: Duration) -> Result<Self, TransferError> {
        let agent = Agent::new_with_config(config(url, connect));
        let (sender, received) = sync_channel(8);
        let uri = url.uri.clone();
        let asking = agent.clone();
        thread::Builder::new()
            .name("fetch".to_owned())
            .spawn(move || {
                if let Err(cause) = converse(&asking, uri, &ask, &sender) {
                    // Nobody listens any more to one that was given up.
                    let _ = sender.send(Err(cause));
                }
            })
            .map_err(|error| TransferError::Lasting(error.to_string()))?;
        Ok(Self { agent, received })
    }

    /// Waits for what comes next.
    pub fn next(
        &self,
        stall: Duration,
        stop: &dyn Fn() -> bool,
    ) -> Result<TransferEvent, TransferError> {
        let since = Instant::now();
        loop {
            if stop() {
                return Err(TransferError::Stopped);
            }
            let left = stall.saturating_sub(since.elapsed());
            match self.received.recv_timeout(left.min(POLL_INTERVAL)) {
                Ok(received) => return received,
                Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                    let seconds = stall.as_secs();
                    return Err(TransferError::Passing(format!("no data for {seconds} s")));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(TransferError::Passing("the connection is lost".to_owned()));
                }
            }
        }
    }
}

/// Asks, and sends on what is answered until nobody listens.
fn converse(
    agent: &Agent,
    uri: Uri,
    ask: &RangeRequest,
    sender: &SyncSender<Result<TransferEvent, TransferError>>,
) -> Result<(), TransferError> {
    let mut request = agent.get(uri).header(header::ACCEPT_ENCODING, "identity");
    if ask.first > 0 || ask.last.is_some() {
        let last = ask.last.map_or_else(String::new, |last| last.to_string());
        request = request.header(header::RANGE, format!("bytes={}-{last}", ask.first));
        if let Some(validator) = &ask.validator {
            request = request.header(header::IF_RANGE, validator);
        }
    }
    let response = request.call().map_err(cause)?;
    let send = |received| sender.send(Ok(received)).is_ok();
    if !send(TransferEvent::Answer(answer(&response))) {
        return Ok(());
    }
    let mut reader = response.into_body().into_reader();
    let mut chunk = vec![0; CHUNK];
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => {
                send(TransferEvent::End);
                return Ok(());
            }
            Ok(size) if send(TransferEvent::Bytes(chunk[..size].to_vec())) => {}
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(cause(error.into())),
        }
    }
}

fn config(url: &Url, connect: Duration) -> Config {
    let config = Agent::config_builder()
        .timeout_connect(Some(connect))
        .http_status_as_error(false)
        .https_only(url.is_secure())
        .max_redirects(MAX_REDIRECTS)
        .user_agent(concat!("impasto/", env!("CARGO_PKG_VERSION")))
        .tls_config(TlsConfig::builder().root_certs(root_certs(url)).build());
    // No proxy reaches what this machine calls itself.
    match url.is_local() {
        true => config.proxy(None).build(),
        false => config.build(),
    }
}

/// The system's certificates, among which a company keeps its own, or where
/// there are none (a bare container) Mozilla's.
fn root_certs(url: &Url) -> RootCerts {
    if !url.is_secure() {
        return RootCerts::WebPki;
    }
    let found = rustls_native_certs::load_native_certs().certs;
    if found.is_empty() {
        return RootCerts::WebPki;
    }
    let certs = found
        .iter()
        .map(|der| Certificate::from_der(der).to_owned());
    RootCerts::from(certs)
}

fn answer<B>(response: &Response<B>) -> Answer {
    let headers = response.headers();
    let seconds = text(headers, &header::RETRY_AFTER).and_then(|value| value.parse().ok());
    Answer {
        status: response.status().as_u16(),
        length: text(headers, &header::CONTENT_LENGTH).and_then(|value| value.parse().ok()),
        range: text(headers, &header::CONTENT_RANGE).and_then(range),
        validator: validator(headers),
        retry_after: seconds.map(Duration::from_secs),
        encoded: text(headers, &header::CONTENT_ENCODING)
            .is_some_and(|value| !value.eq_ignore_ascii_case("identity")),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

/// A strong entity tag, or the date of the last change.
fn validator(headers: &HeaderMap) -> Option<String> {
    let tag = text(headers, &header::ETAG).filter(|tag| tag.starts_with('"'));
    let validator = tag.or_else(|| text(headers, &header::LAST_MODIFIED))?;
    (validator.len() <= 200).then(|| validator.to_owned())
}

/// `bytes 0-99/1234`, if it makes sense.
fn range(value: &str) -> Option<(u64, u64, u64)> {
    let (places, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = places.split_once('-')?;
    let (first, last, total) = (first.parse().ok()?, last.parse().ok()?, total.parse().ok()?);
    (first <= last && last < total).then_some((first, last, total))
}

fn cause(error: ureq::Error) -> TransferError {
    use ureq::Error;
    let words = |error: &dyn std::fmt::Display| shown(&error.to_string(), 200);
    match error {
        Error::HostNotFound => TransferError::Unreachable("its host is not found".to_owned()),
        Error::ConnectionFailed => TransferError::Unreachable("no connection is made".to_owned()),
        Error::ConnectProxyFailed(reason) => TransferError::Unreachable(format!(
            "the proxy makes no connection ({})",
            words(&reason)
        )),
        Error::TooManyRedirects => {
            TransferError::Lasting(format!("it leads on more than {MAX_REDIRECTS} times"))
        }
        Error::RequireHttpsOnly(_) => {
            TransferError::Lasting("it leads to an address that is not encrypted".to_owned())
        }
        Error::Io(error) if is_certificate(&error) => TransferError::Lasting(format!(
            "the connection cannot be trusted ({}). Behind a proxy that looks into connections, \
             set SSL_CERT_FILE to its certificate",
            words(&error)
        )),
        // The standard library gives this no kind of its own.
        Error::Io(error) if error.to_string().contains("lookup address") => {
            TransferError::Unreachable("its host is not found".to_owned())
        }
        Error::Io(error) => match error.kind() {
            ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::AddrNotAvailable => TransferError::Unreachable(words(&error)),
            ErrorKind::UnexpectedEof => {
                TransferError::Passing("the connection broke off".to_owned())
            }
            _ => TransferError::Passing(words(&error)),
        },
        Error::Timeout(_) | Error::Protocol(_) | Error::BodyStalled => {
            TransferError::Passing(words(&error))
        }
        _ => TransferError::Lasting(words(&error)),
    }
}

/// Whether it is the certificate that is refused: what else TLS complains of
/// may be a broken line.
fn is_certificate(error: &io::Error) -> bool {
    let mut source: Option<&dyn Error> = error.get_ref().map(|inner| inner as &dyn Error);
    while let Some(error) = source {
        if error.to_string().contains("certificate") {
            return true;
        }
        source = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_secrets() {
        let url = Url::parse("https://me:secret@example.org:8443/a/b-1.pth?token=x#y").unwrap();
        assert_eq!(url.shown(), "https://example.org:8443/a/b-1.pth");
        assert_eq!(url.file_name(), Some("b-1.pth"));
        for text in [
            "example.org/a",
            "/a/b",
            "ftp://example.org/a",
            "file:///etc/passwd",
            "https://",
            "https:///a",
            "https://me:secret@/a",
            "https://a b/",
            "",
            "\u{1b}[2J",
        ] {
            let error = Url::parse(text).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
            assert!(!error.contains('\u{1b}'), "{error}");
        }
        for text in ["https://a/", "https://a", "https://a/-x", "https://a/%20"] {
            assert_eq!(Url::parse(text).unwrap().file_name(), None, "{text}");
        }
    }

    #[test]
    fn this_machine_is_distinguished_from_others() {
        for (text, local) in [
            ("http://localhost/a", true),
            ("http://LOCALHOST:80/a", true),
            ("http://127.0.0.1:8080/a", true),
            ("http://[::1]:80/a", true),
            ("http://localhost.example.org/a", false),
            ("http://10.0.0.1/a", false),
        ] {
            assert_eq!(Url::parse(text).unwrap().is_local(), local, "{text}");
        }
    }

    #[test]
    fn ranges_must_make_sense() {
        assert_eq!(range("bytes 0-0/1"), Some((0, 0, 1)));
        assert_eq!(range("bytes 5-9/100"), Some((5, 9, 100)));
        for value in [
            "bytes 5-4/100",
            "bytes 5-100/100",
            "bytes 5-9/*",
            "bytes */100",
            "bytes -9/100",
            "items 5-9/100",
            "bytes 5-99999999999999999999/100",
            "",
        ] {
            assert_eq!(range(value), None, "{value}");
        }
    }

    #[test]
    fn only_a_version_that_is_certain_is_named() {
        let headers = |rows: &[(HeaderName, &'static str)]| {
            let pairs = rows
                .iter()
                .map(|(name, value)| (name.clone(), value.parse().unwrap()));
            validator(&pairs.collect())
        };
        let date = "Tue, 01 Jul 2025 00:00:00 GMT";
        let (tag, changed) = (header::ETAG, header::LAST_MODIFIED);
        assert_eq!(headers(&[(tag.clone(), "\"a\"")]).unwrap(), "\"a\"");
        assert_eq!(headers(&[(tag.clone(), "W/\"a\"")]), None);
        let both = [(tag, "W/\"a\""), (changed, date)];
        assert_eq!(headers(&both).unwrap(), date);
        assert_eq!(headers(&[]), None);
    }
}
