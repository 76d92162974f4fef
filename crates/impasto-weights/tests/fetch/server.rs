//! A small HTTP server that can misbehave.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A file on the server.
#[derive(Clone)]
pub struct Remote {
    pub bytes: Vec<u8>,
    pub etag: Option<String>,
}

impl Remote {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            etag: Some("\"1\"".to_owned()),
        }
    }
}

/// How a request is answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Behaviour {
    Fine,
    /// Closes the connection after this many bytes of content.
    BreakAfter(usize),
    /// Says nothing more after this many bytes of content, until the other end
    /// goes away.
    SilentAfter(usize),
    /// Says nothing at all.
    Silent,
    /// Sends ten bytes of content a second.
    Dribble,
    /// Closes the connection at once.
    Close,
    /// Answers something that is not HTTP.
    Gibberish,
    /// Sends the whole file, whatever was asked for.
    NoRanges,
    /// Names no version of the file.
    NoVersion,
    /// Sends another part of the file than was asked for.
    OtherRange,
    /// Says that the whole file is larger.
    OtherSize,
    /// Sends what was asked for, but of another version.
    OtherVersion,
    /// Says that more content comes than does.
    SaysMore,
    /// Says that less content comes than does.
    SaysLess,
    /// Says that 3 GiB come.
    SaysHuge,
    /// Sends the whole file in chunks, without saying how large it is.
    Chunked,
    /// The same, but without the end.
    ChunkedAndCut,
    /// Says that the content is compressed.
    Compressed,
    Redirect(&'static str),
    /// A status and further header lines.
    Status(u16, &'static str),
}

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    pub range: Option<String>,
    pub if_range: Option<String>,
}

struct State {
    remote: Remote,
    /// Files at paths of their own, which are always served well.
    others: HashMap<&'static str, Remote>,
    behaviours: VecDeque<Behaviour>,
    requests: Vec<Request>,
    over: bool,
}

/// Serves one file under every path, with one behaviour after the other for one
/// request after the other, and well when there is none left.
pub struct Server {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn new(remote: Remote, behaviours: &[Behaviour]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            remote,
            others: HashMap::new(),
            behaviours: behaviours.iter().copied().collect(),
            requests: Vec::new(),
            over: false,
        }));
        let shared = Arc::clone(&state);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.lock().unwrap().over {
                    return;
                }
                let shared = Arc::clone(&shared);
                let stream = stream.unwrap();
                // The other end may go away at any time.
                thread::spawn(move || serve(stream, &shared).ok());
            }
        });
        Self {
            address,
            state,
            thread: Some(thread),
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn replace(&self, remote: Remote) {
        self.state.lock().unwrap().remote = remote;
    }

    pub fn also(&self, path: &'static str, remote: Remote) {
        self.state.lock().unwrap().others.insert(path, remote);
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.state.lock().unwrap().requests.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.lock().unwrap().over = true;
        TcpStream::connect(self.address).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let request = read_request(&stream)?;
    let (remote, behaviour) = {
        let mut state = state.lock().unwrap();
        state.requests.push(request.clone());
        match state.others.get(request.path.as_str()) {
            Some(other) => (other.clone(), Behaviour::Fine),
            None => {
                let behaviour = state.behaviours.pop_front().unwrap_or(Behaviour::Fine);
                (state.remote.clone(), behaviour)
            }
        }
    };
    let bytes = &remote.bytes;
    let mut head = String::from("HTTP/1.1 ");
    let asked = request.range.as_deref().and_then(parse);
    let same = request.if_range.is_none() || request.if_range == remote.etag;
    let mut content = &bytes[..];
    match (behaviour, asked) {
        (Behaviour::Close, _) => return Ok(()),
        (Behaviour::Gibberish, _) => return stream.write_all(b"\x1b[2J\r\n\r\n"),
        (Behaviour::Silent, _) => return wait(&mut stream),
        (Behaviour::Redirect(path), _) => {
            head += &format!("302 Found\r\nLocation: {path}\r\nContent-Length: 0\r\n");
            content = &[];
        }
        (Behaviour::Status(status, lines), _) => {
            head += &format!("{status} Words\r\n{lines}");
            if status != 204 {
                head += "Content-Length: 5\r\n";
            }
            content = if status == 204 { b"" } else { b"words" };
        }
        (Behaviour::Chunked | Behaviour::ChunkedAndCut, _) => {
            head += "200 OK\r\nTransfer-Encoding: chunked\r\n";
        }
        (Behaviour::SaysHuge, _) => {
            head += &format!("200 OK\r\nContent-Length: {}\r\n", 3_u64 << 30);
        }
        (Behaviour::SaysMore, None) => {
            head += &format!("200 OK\r\nContent-Length: {}\r\n", bytes.len() + 10);
        }
        (Behaviour::SaysLess, _) => {
            head += &format!("200 OK\r\nContent-Length: {}\r\n", bytes.len() - 10);
        }
        (behaviour, Some((first, last))) if same && behaviour != Behaviour::NoRanges => {
            let (mut first, mut size) = (first, bytes.len());
            match behaviour {
                Behaviour::OtherRange => first += 1,
                Behaviour::OtherSize => size += 1,
                _ => {}
            }
            if first >= bytes.len() {
                head += "416 Range Not Satisfiable\r\nContent-Length: 0\r\n";
                content = &[];
            } else {
                let last = last.unwrap_or(usize::MAX).min(bytes.len() - 1);
                content = &bytes[first..=last];
                head += &format!(
                    "206 Partial Content\r\nContent-Range: bytes {first}-{last}/{size}\r\n\
                     Content-Length: {}\r\n",
                    content.len()
                );
            }
        }
        _ => head += &format!("200 OK\r\nContent-Length: {}\r\n", bytes.len()),
    }
    if behaviour == Behaviour::Compressed {
        head += "Content-Encoding: gzip\r\n";
    }
    if behaviour == Behaviour::OtherVersion {
        head += "ETag: \"other\"\r\n";
    } else if let Some(etag) = remote.etag.filter(|_| behaviour != Behaviour::NoVersion) {
        head += &format!("ETag: {etag}\r\n");
    }
    head += "Connection: close\r\n\r\n";
    stream.write_all(head.as_bytes())?;
    match behaviour {
        Behaviour::BreakAfter(count) => stream.write_all(&content[..count.min(content.len())])?,
        Behaviour::Dribble => {
            for byte in content.chunks(1) {
                stream.write_all(byte)?;
                stream.flush()?;
                thread::sleep(Duration::from_millis(100));
            }
        }
        Behaviour::SilentAfter(count) => {
            stream.write_all(&content[..count])?;
            return wait(&mut stream);
        }
        Behaviour::Chunked | Behaviour::ChunkedAndCut => {
            if behaviour == Behaviour::ChunkedAndCut {
                content = &content[..content.len() - 100];
            }
            for chunk in content.chunks(10_000) {
                write!(stream, "{:x}\r\n", chunk.len())?;
                stream.write_all(chunk)?;
                stream.write_all(b"\r\n")?;
            }
            if behaviour == Behaviour::Chunked {
                stream.write_all(b"0\r\n\r\n")?;
            }
        }
        _ => stream.write_all(content)?,
    }
    // Closing with something unread would take back what is under way.
    stream.shutdown(Shutdown::Write)?;
    wait(&mut stream)
}

/// Waits until the other end goes away.
fn wait(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.read_to_end(&mut Vec::new()).map(|_| ())
}

fn read_request(stream: &TcpStream) -> std::io::Result<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let path = first.split(' ').nth(1).unwrap_or_default();
    let mut request = Request {
        path: path.split('?').next().unwrap_or_default().to_owned(),
        range: None,
        if_range: None,
    };
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "range" => request.range = Some(value.to_owned()),
            "if-range" => request.if_range = Some(value.to_owned()),
            _ => {}
        }
    }
    Ok(request)
}

fn parse(range: &str) -> Option<(usize, Option<usize>)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()))
}
