//! From an address into a [`Part`], in as many requests as it takes.

use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use ureq::http::StatusCode;

use super::http::{Answer, Exchange, RangeRequest, TransferError, TransferEvent, Url};
use super::part::{Note, Part};
use super::{FetchError, MAX_BYTES, Progress, Retries};

/// How many bytes have to come for the tries to be counted anew.
const HEADWAY: u64 = 1 << 20;

/// The longest that a server may ask to wait.
const MAX_WAIT: Duration = Duration::from_secs(120);

/// What the installed network needs besides what is fetched.
const INSTALLED: u64 = 81_000_000;

/// Everything about fetching from one address.
pub(super) struct Transfer<'a> {
    pub url: &'a Url,
    pub part: &'a mut Part,
    pub retries: &'a Retries,
    pub progress: &'a mut dyn FnMut(Progress),
    pub stop: &'a dyn Fn() -> bool,
    /// Whether there is another address, so that one that cannot be reached is
    /// not tried again.
    pub elsewhere: bool,
    /// What to do when it cannot be fetched.
    pub advice: &'a str,
}

/// The first bytes of a file, and what is needed to ask for more of it.
pub(super) struct FirstBytes {
    pub bytes: Vec<u8>,
    pub note: Note,
    /// The size of the whole file.
    pub size: u64,
}

/// Why a request came to nothing, or not to its end.
enum Break {
    Passing {
        reason: String,
        /// How long the server asks to wait.
        wait: Option<Duration>,
    },
    Lasting(FetchError),
}

impl Transfer<'_> {
    /// Fetches a whole file, or what is missing of it.
    pub fn whole(&mut self) -> Result<(), FetchError> {
        self.retrying(Self::whole_once)
    }

    /// Fetches pieces of a file behind the `opening` first bytes of the part,
    /// whose note says of which version and size the file is. What has come
    /// before is not asked for again.
    pub fn pieces(&mut self, opening: u64, pieces: &[Range<u64>]) -> Result<(), FetchError> {
        let wanted: u64 = pieces.iter().map(|piece| piece.end - piece.start).sum();
        if wanted > MAX_BYTES {
            return Err(self.failed("it is far too large"));
        }
        let total = opening + wanted;
        let missing = total.saturating_sub(self.part.length());
        self.part.check_room(missing + INSTALLED)?;
        let mut end = opening;
        for piece in pieces {
            end += piece.end - piece.start;
            while self.part.length() < end {
                self.retrying(|this| this.piece_once(piece, end, total))?;
            }
        }
        self.secure()
    }

    /// Fetches the first `count` bytes of a file into memory; fewer if it is
    /// shorter.
    pub fn beginning(&mut self, count: u64) -> Result<FirstBytes, FetchError> {
        self.retrying(|this| this.beginning_once(count))
    }

    fn whole_once(&mut self) -> Result<(), Break> {
        let note = self.part.note().clone();
        let have = self.part.length();
        let same = have > 0 && note.url == self.url.shown();
        if same && note.size == Some(have) {
            return Ok(());
        }
        let goes_on = same && note.validator.is_some();
        let ask = match goes_on {
            true => RangeRequest {
                first: have,
                last: None,
                validator: note.validator.clone(),
            },
            false => RangeRequest::default(),
        };
        let (exchange, answer) = self.open(ask)?;
        let until = match (answer.status, answer.range) {
            (200, _) => {
                let note = self.note(&answer, answer.length);
                self.begin(note)?;
                answer.length
            }
            (206, Some((first, last, size)))
                if goes_on
                    && first == have
                    && note.size.is_none_or(|known| known == size)
                    && same_version(&note, &answer) =>
            {
                self.part.set_size(size);
                Some(last + 1)
            }
            _ => {
                self.begin(Note::default())?;
                return Err(passing("it has changed meanwhile"));
            }
        };
        let size = self.part.note().size;
        if size.is_some_and(|size| size > MAX_BYTES) {
            self.begin(Note::default())?;
            return Err(Break::Lasting(self.too_large()));
        }
        let missing = size.unwrap_or_default().saturating_sub(self.part.length());
        (self.part.check_room(missing + INSTALLED)).map_err(Break::Lasting)?;
        self.receive(&exchange, until, size)?;
        match size {
            Some(size) if self.part.length() < size => Err(passing("the connection broke off")),
            Some(_) => self.secure().map_err(Break::Lasting),
            None => {
                self.part.set_size(self.part.length());
                self.secure().map_err(Break::Lasting)
            }
        }
    }

    /// Fetches what is missing of a piece that ends at `until` in the part,
    /// which is to become `total` bytes long.
    fn piece_once(&mut self, piece: &Range<u64>, until: u64, total: u64) -> Result<(), Break> {
        let first = piece.end - (until - self.part.length());
        let note = self.part.note();
        let size = note.size;
        let ask = RangeRequest {
            first,
            last: Some(piece.end - 1),
            validator: note.validator.clone(),
        };
        let (exchange, answer) = self.open(ask)?;
        let same = same_version(self.part.note(), &answer);
        match answer.range {
            Some(range) if answer.status == 206 && Some(range.2) == size && same => {
                if (range.0, range.1) != (first, piece.end - 1) {
                    return Err(self.lasting("it sends other ranges than requested"));
                }
            }
            _ => return Err(self.lasting("the file has changed meanwhile")),
        }
        self.receive(&exchange, Some(until), Some(total))
    }

    fn beginning_once(&mut self, count: u64) -> Result<FirstBytes, Break> {
        let ask = RangeRequest {
            first: 0,
            last: Some(count - 1),
            validator: None,
        };
        let (exchange, answer) = self.open(ask)?;
        let (last, size) = match answer.range {
            Some((0, last, size)) if answer.status == 206 && last == (count - 1).min(size - 1) => {
                (last, size)
            }
            _ => return Err(self.lasting("the server sends no parts of files")),
        };
        if answer.validator.is_none() {
            return Err(self.lasting("the server does not say which version of a file it sends"));
        }
        let mut bytes = Vec::new();
        let mut throughput = Throughput::new();
        loop {
            match self.next_event(&exchange)? {
                TransferEvent::Bytes(more) => {
                    throughput.check(more.len(), self.retries)?;
                    bytes.extend(more);
                }
                TransferEvent::End => break,
                TransferEvent::Answer(_) => {}
            }
            if bytes.len() as u64 > last + 1 {
                return Err(self.lasting("it sends more bytes than requested"));
            }
        }
        if bytes.len() as u64 <= last {
            return Err(passing("the connection broke off"));
        }
        let note = self.note(&answer, Some(size));
        Ok(FirstBytes { bytes, note, size })
    }

    /// Asks, and waits for an answer that speaks of content.
    fn open(&mut self, ask: RangeRequest) -> Result<(Exchange, Answer), Break> {
        let url = self.url.shown().to_owned();
        (self.progress)(Progress::Connecting { url });
        let exchange = Exchange::start(self.url, ask, self.retries.stall)
            .map_err(|cause| self.broken(cause))?;
        let TransferEvent::Answer(answer) = self.next_event(&exchange)? else {
            return Err(passing("it does not answer"));
        };
        let words = || {
            let words = StatusCode::from_u16(answer.status).ok();
            let words = words.and_then(|status| status.canonical_reason());
            format!(
                "the server answers {} {}",
                answer.status,
                words.unwrap_or_default()
            )
        };
        match answer.status {
            200 | 206 if answer.encoded => {
                Err(self.lasting("the server compresses it, which was not asked for"))
            }
            200 | 206 | 416 => Ok((exchange, answer)),
            408 | 425 | 429 | 500..=599 => Err(Break::Passing {
                reason: words().trim_end().to_owned(),
                wait: answer.retry_after,
            }),
            _ => Err(self.lasting(words().trim_end())),
        }
    }

    /// Adds what comes to the part, until it is `until` bytes long or, where
    /// that is not known, to the end. `of` is how long it is to become.
    fn receive(
        &mut self,
        exchange: &Exchange,
        until: Option<u64>,
        of: Option<u64>,
    ) -> Result<(), Break> {
        let mut throughput = Throughput::new();
        loop {
            let bytes = match self.next_event(exchange)? {
                TransferEvent::Bytes(bytes) => bytes,
                TransferEvent::End => break,
                TransferEvent::Answer(_) => continue,
            };
            throughput.check(bytes.len(), self.retries)?;
            let length = self.part.length() + bytes.len() as u64;
            if until.is_some_and(|until| length > until) {
                return Err(self.lasting("it sends more bytes than announced"));
            }
            if length > MAX_BYTES {
                self.begin(Note::default())?;
                return Err(Break::Lasting(self.too_large()));
            }
            let needed = of.unwrap_or(length) - (length - bytes.len() as u64);
            let path = self.part.path().to_owned();
            (self.part.append(&bytes)).map_err(|cause| {
                Break::Lasting(FetchError::not_written(&path, needed + INSTALLED, cause))
            })?;
            (self.progress)(Progress::Receiving { bytes: length, of });
        }
        match until {
            Some(until) if self.part.length() < until => Err(passing("the connection broke off")),
            _ => Ok(()),
        }
    }

    fn next_event(&self, exchange: &Exchange) -> Result<TransferEvent, Break> {
        (exchange.next(self.retries.stall, self.stop)).map_err(|cause| self.broken(cause))
    }

    /// Repeats `work` after breaks that may pass, with longer and longer pauses.
    fn retrying<T>(
        &mut self,
        mut work: impl FnMut(&mut Self) -> Result<T, Break>,
    ) -> Result<T, FetchError> {
        let mut furthest = self.part.length();
        let mut failures = 0;
        loop {
            let (reason, wait) = match work(self) {
                Ok(value) => return Ok(value),
                Err(Break::Lasting(error)) => return Err(error),
                Err(Break::Passing { reason, wait }) => (reason, wait.unwrap_or_default()),
            };
            if self.part.length() >= furthest.saturating_add(HEADWAY) {
                failures = 0;
            }
            furthest = furthest.max(self.part.length());
            failures += 1;
            if failures >= self.retries.tries {
                return Err(self.failed(&format!("{reason}, {failures} times in a row")));
            }
            if wait > MAX_WAIT {
                let minutes = wait.as_secs().div_ceil(60);
                return Err(self.failed(&format!(
                    "{reason} and asks to come back in {minutes} minutes"
                )));
            }
            let pause = self.retries.pause_after(failures).max(wait);
            (self.progress)(Progress::Waiting { pause, reason });
            self.sleep(pause)?;
        }
    }

    fn sleep(&self, pause: Duration) -> Result<(), FetchError> {
        let since = Instant::now();
        loop {
            if (self.stop)() {
                return Err(FetchError::Stopped);
            }
            let left = pause.saturating_sub(since.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(Duration::from_millis(100)));
        }
    }

    fn note(&self, answer: &Answer, size: Option<u64>) -> Note {
        Note {
            url: self.url.shown().to_owned(),
            validator: answer.validator.clone(),
            size,
        }
    }

    fn begin(&mut self, note: Note) -> Result<(), Break> {
        let path = self.part.path().to_owned();
        let begun = self.part.begin(note, &[]);
        begun.map_err(|cause| Break::Lasting(FetchError::not_written(&path, INSTALLED, cause)))
    }

    fn secure(&mut self) -> Result<(), FetchError> {
        let path = self.part.path().to_owned();
        let secured = self.part.secure();
        secured.map_err(|cause| FetchError::not_written(&path, INSTALLED, cause))
    }

    fn broken(&self, cause: TransferError) -> Break {
        match cause {
            TransferError::Stopped => Break::Lasting(FetchError::Stopped),
            TransferError::Unreachable(reason) if self.elsewhere => self.lasting(&reason),
            TransferError::Unreachable(reason) | TransferError::Passing(reason) => passing(&reason),
            TransferError::Lasting(reason) => self.lasting(&reason),
        }
    }

    fn lasting(&self, reason: &str) -> Break {
        Break::Lasting(self.failed(reason))
    }

    pub fn failed(&self, reason: &str) -> FetchError {
        FetchError::Failed {
            url: self.url.shown().to_owned(),
            reason: reason.to_owned(),
            advice: self.advice.to_owned(),
        }
    }

    fn too_large(&self) -> FetchError {
        let url = self.url.shown().to_owned();
        FetchError::TooLarge { url }
    }
}

/// How fast bytes come: a server that sends one a second never stalls.
struct Throughput {
    since: Instant,
    bytes: u64,
}

impl Throughput {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            bytes: 0,
        }
    }

    /// Counts bytes that came. Where too few did in the time of a stall, that is a
    /// break.
    fn check(&mut self, count: usize, retries: &Retries) -> Result<(), Break> {
        self.bytes += count as u64;
        if self.since.elapsed() < retries.stall {
            return Ok(());
        }
        let bytes = std::mem::replace(self, Self::new()).bytes;
        match bytes < retries.min_bytes {
            true => Err(passing(&format!(
                "only {bytes} bytes came in {} s",
                retries.stall.as_secs()
            ))),
            false => Ok(()),
        }
    }
}

/// Whether an answer is of the version that was asked for, in case the server
/// did not heed the question.
fn same_version(note: &Note, answer: &Answer) -> bool {
    answer.validator.is_none() || answer.validator == note.validator
}

fn passing(reason: &str) -> Break {
    Break::Passing {
        reason: reason.to_owned(),
        wait: None,
    }
}
