//! Getting a network that is not installed: from the Internet or from a file.
//!
//! What comes over the network goes to a [`part`] in the folder of networks,
//! which survives breaks and stops, and is read only when it is complete and,
//! where the digest is known, found to be what was published. How far what is
//! fetched can be trusted is said in [`offers`](super::offers).
//!
//! [`fetch`] gives the numbers; the caller finds the scales of the layers, which
//! takes libtorch, and then [`Fetched::install`] makes a network of them. Until
//! then nothing is there that could be taken for one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use impasto_core::text::display_path;

use super::error::shown;
use super::{
    About, Convention, File, NetworkError, Networks, Offer, WeightsError, WeightsErrorKind,
};

mod error;
mod http;
mod mirror;
mod part;
mod transfer;

pub use error::FetchError;

use http::Url;
use part::Part;
use transfer::Transfer;

/// The largest file that is fetched: 2 GiB. A VGG network with its classifier
/// has 0.6 GB.
pub const MAX_BYTES: u64 = 2 << 30;

/// What to get, from where, and under which name.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// The network's name once it is installed.
    pub name: String,
    pub source: Source,
    /// Whether a network of that name may be replaced.
    pub replace: bool,
    pub retries: Retries,
}

/// Where a network comes from.
#[derive(Clone, Debug)]
pub enum Source {
    Offer(&'static Offer),
    /// An `https` or `http` address of a weights file, and the user's word on
    /// its convention, as for [`read`](super::read).
    Url(String, Option<Convention>),
    /// A weights file, likewise.
    File(PathBuf, Option<Convention>),
}

impl Source {
    /// The source that a user means by an address or a file's name.
    pub fn at(place: &str, convention: Option<Convention>) -> Self {
        match place.contains("://") {
            true => Self::Url(place.to_owned(), convention),
            false => Self::File(place.into(), convention),
        }
    }
}

/// How hard to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// After so many breaks in a row, between which next to nothing came, it
    /// is given up.
    pub tries: u32,
    /// How long to wait after the first break; twice as long after each more.
    pub pause: Duration,
    /// A connection on which nothing came for so long counts as broken.
    pub stall: Duration,
    /// And one on which fewer bytes than this came in that time.
    pub min_bytes: u64,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            tries: 5,
            pause: Duration::from_secs(1),
            stall: Duration::from_secs(30),
            min_bytes: 64 << 10,
        }
    }
}

impl Retries {
    /// How long to wait after so many breaks in a row.
    fn pause_after(&self, failures: u32) -> Duration {
        let times = 1_u32.checked_shl(failures.saturating_sub(1));
        self.pause.saturating_mul(times.unwrap_or(u32::MAX))
    }
}

/// What is happening. Texts are fit for a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A request is sent.
    Connecting { url: String },
    /// So many bytes are there, those of earlier runs included, of so many.
    Receiving { bytes: u64, of: Option<u64> },
    /// The connection broke, and is tried again after a pause.
    Waiting { pause: Duration, reason: String },
    /// The mirror is no good; the official file is fetched instead.
    Elsewhere { url: String, reason: String },
    /// The digest is computed.
    Checking { bytes: u64, of: u64 },
    /// The file is read.
    Reading,
}

/// A network that was fetched, or read from a file, and is not yet installed.
#[derive(Debug)]
pub struct Fetched {
    pub file: File,
    pub about: About,
    name: String,
    replace: bool,
    /// None if it comes from a file of the user's.
    part: Option<Part>,
}

impl Fetched {
    /// Installs it with a scale for each convolution (see
    /// [`Networks::install`]), returns the file, and removes what was
    /// downloaded for a network of that name. When that fails the download is
    /// kept for another try.
    ///
    /// # Errors
    /// As [`Networks::install`].
    pub fn install(self, networks: &Networks, scales: &[f64]) -> Result<PathBuf, NetworkError> {
        let path = networks.install(&self.name, &self.file, &self.about, scales, self.replace)?;
        // A file may take the place of a download that did not succeed.
        let part = (self.part).or_else(|| Part::open(networks, &self.name).ok());
        if let Some(part) = part {
            part.remove();
        }
        Ok(path)
    }
}

/// Gets what is ordered and reads it. `progress` is called with what happens;
/// `stop` is asked several times a second whether to end.
///
/// What has come when it ends early is kept beside the networks, and the next
/// request of that name from the same place continues from there.
///
/// # Errors
/// When the name cannot be taken, when the network cannot be fetched, is not
/// what was published, or cannot be read, and when it is being fetched already.
pub fn fetch(
    request: &FetchRequest,
    networks: &Networks,
    progress: &mut dyn FnMut(Progress),
    stop: &dyn Fn() -> bool,
) -> Result<Fetched, FetchError> {
    networks.vacancy(&request.name, request.replace)?;
    let errand = Fetching {
        request,
        networks,
        progress,
        stop,
    };
    match &request.source {
        Source::File(path, convention) => errand.file(path, *convention),
        Source::Url(url, convention) => errand.url(url, *convention),
        Source::Offer(offer) => errand.offer(offer),
    }
}

/// One request under way.
struct Fetching<'a> {
    request: &'a FetchRequest,
    networks: &'a Networks,
    progress: &'a mut dyn FnMut(Progress),
    stop: &'a dyn Fn() -> bool,
}

impl Fetching<'_> {
    fn file(self, path: &Path, stated: Option<Convention>) -> Result<Fetched, FetchError> {
        (self.progress)(Progress::Reading);
        let file = super::read(path, stated)?;
        let name = path.file_name().unwrap_or_default();
        let about = About {
            source: shown(&display_path(name.as_ref()), 500),
            source_sha256: Some(file.sha256.clone()),
            licence: None,
        };
        Ok(self.fetched(file, about, None))
    }

    fn url(mut self, url: &str, stated: Option<Convention>) -> Result<Fetched, FetchError> {
        let url = Url::parse(url)?;
        let advice = format!(
            "Check the address, or download the file by other means and run \
             `impasto weights import {} --name {}`.",
            url.file_name().unwrap_or("FILE"),
            self.request.name
        );
        let mut part = Part::open(self.networks, &self.request.name)?;
        self.transfer(&url, &mut part, false, &advice).whole()?;
        (self.progress)(Progress::Reading);
        let file = match super::read_file(part.path(), stated) {
            Ok((file, _)) => file,
            Err(kind) => return Err(refused(&url, part, kind)),
        };
        let about = About {
            source: url.shown().to_owned(),
            source_sha256: Some(file.sha256.clone()),
            licence: None,
        };
        Ok(self.fetched(file, about, Some(part)))
    }

    fn offer(mut self, offer: &Offer) -> Result<Fetched, FetchError> {
        let url = Url::parse(offer.url)?;
        let advice = format!(
            "On a machine that has a network, download {}, copy the file here and run \
             `impasto weights import {} --name {}`.",
            url.shown(),
            url.file_name().unwrap_or("FILE"),
            self.request.name
        );
        let mut part = Part::open(self.networks, &self.request.name)?;
        if let Some(mirror) = offer.mirror {
            match self.mirror(offer, mirror, &mut part, &advice) {
                Ok((file, about)) => return Ok(self.fetched(file, about, Some(part))),
                Err(error) if error.is_of_the_address() => {
                    let (url, reason) = (url.shown().to_owned(), error.reason());
                    (self.progress)(Progress::Elsewhere { url, reason });
                }
                Err(error) => return Err(error),
            }
        }
        self.transfer(&url, &mut part, false, &advice).whole()?;
        let part = self.check(offer, &url, part)?;
        (self.progress)(Progress::Reading);
        let file = match super::read_file(part.path(), Some(offer.convention)) {
            Ok((file, _)) => file,
            Err(kind) => return Err(refused(&url, part, kind)),
        };
        let about = About {
            source: url.shown().to_owned(),
            source_sha256: Some(file.sha256.clone()),
            licence: Some(offer.licence.to_owned()),
        };
        Ok(self.fetched(file, about, Some(part)))
    }

    /// The convolutions from a mirror, if they are what is offered.
    fn mirror(
        &mut self,
        offer: &Offer,
        url: &str,
        part: &mut Part,
        advice: &str,
    ) -> Result<(File, About), FetchError> {
        let url = Url::parse(url)?;
        let mut transfer = self.transfer(&url, part, true, advice);
        mirror::fetch(&mut transfer)?;
        (transfer.progress)(Progress::Reading);
        let file = match recognised(offer, transfer.part) {
            Ok(file) => file,
            Err(reason) => {
                // The same bytes would be no better the next time.
                transfer.part.forget();
                return Err(transfer.failed(&reason));
            }
        };
        let about = About {
            source: url.shown().to_owned(),
            source_sha256: None,
            licence: Some(offer.licence.to_owned()),
        };
        Ok((file, about))
    }

    /// The part, if it is the official file of an offer.
    fn check(&mut self, offer: &Offer, url: &Url, part: Part) -> Result<Part, FetchError> {
        let of = part.length();
        let sha256 = part.sha256(|bytes| {
            (self.progress)(Progress::Checking { bytes, of });
            (self.stop)()
        });
        let sha256 = match sha256 {
            Ok(Some(sha256)) => sha256,
            Ok(None) => return Err(FetchError::Stopped),
            Err(error) => return Err(refused(url, part, error.into())),
        };
        if sha256.starts_with(offer.sha256) {
            return Ok(part);
        }
        part.remove();
        Err(FetchError::WrongHash {
            url: url.shown().to_owned(),
            expected: offer.sha256.to_owned(),
            found: sha256[..offer.sha256.len().min(64)].to_owned(),
        })
    }

    fn transfer<'a>(
        &'a mut self,
        url: &'a Url,
        part: &'a mut Part,
        elsewhere: bool,
        advice: &'a str,
    ) -> Transfer<'a> {
        Transfer {
            url,
            part,
            retries: &self.request.retries,
            progress: self.progress,
            stop: self.stop,
            elsewhere,
            advice,
        }
    }

    fn fetched(&self, file: File, about: About, part: Option<Part>) -> Fetched {
        Fetched {
            file,
            about,
            name: self.request.name.clone(),
            replace: self.request.replace,
            part,
        }
    }
}

/// What came from a mirror, or why it is not what is offered.
fn recognised(offer: &Offer, part: &Part) -> Result<File, String> {
    // Without a word on the convention only values that are known are taken.
    let file = match super::read_file(part.path(), None) {
        Ok((file, _)) => file,
        Err(WeightsErrorKind::UnknownConvention) => {
            return Err("its values are not those of the published network".to_owned());
        }
        Err(kind) => return Err(kind.to_string()),
    };
    let same = file.architecture == offer.architecture
        && file.convention == offer.convention
        && file.convolutions.len() == offer.architecture.depth();
    (same.then_some(file)).ok_or_else(|| "it is another network".to_owned())
}

/// What is wrong with a file that came whole. It is kept only where another
/// request could make something of it.
fn refused(url: &Url, part: Part, kind: WeightsErrorKind) -> FetchError {
    match kind {
        WeightsErrorKind::UnknownConvention
        | WeightsErrorKind::StrangeConvention(_)
        | WeightsErrorKind::OtherConvention { .. }
        | WeightsErrorKind::Unreadable(_) => {}
        _ => part.remove(),
    }
    FetchError::Weights(WeightsError {
        file: url.shown().to_owned(),
        kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double() {
        let retries = Retries::default();
        let seconds = [1, 2, 3, 4].map(|failures| retries.pause_after(failures).as_secs());
        assert_eq!(seconds, [1, 2, 4, 8]);
        // However long it continues.
        assert!(retries.pause_after(u32::MAX) > retries.pause_after(32));
    }

    #[test]
    fn addresses_are_reported_from_files() {
        for (place, url) in [
            ("https://example.org/a.pth", true),
            ("ftp://example.org/a.pth", true),
            ("a.pth", false),
            ("/a/b.pth", false),
            ("https:/a", false),
        ] {
            let source = Source::at(place, None);
            assert_eq!(matches!(source, Source::Url(..)), url, "{place}");
        }
    }
}
