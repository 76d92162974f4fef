//! Files from addresses, and from files.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use impasto_weights::fetch::{FetchError, FetchRequest, Progress, Retries, Source, fetch};
use impasto_weights::{Convention, NetworkError, WeightsErrorKind};

use crate::server::{Behaviour, Remote, Server};
use crate::{Bench, hex, small, url, weights};

#[test]
fn a_file_is_fetched_read_and_installed() {
    let server = Server::new(Remote::new(small()), &[]);
    let mut bench = Bench::new();
    let fetched = bench
        .fetch(url(&server, "/a/small.pth?token=secret"))
        .unwrap();
    assert_eq!(fetched.file.convolutions.len(), 1);
    assert_eq!(fetched.about.source, server.url("/a/small.pth"));
    assert_eq!(fetched.about.source_sha256, Some(hex(&small())));
    assert_eq!(bench.files(), ["mine.part", "mine.part.json"]);
    let note = fs::read_to_string(bench.networks.folder().unwrap().join("mine.part.json"));
    assert!(!note.unwrap().contains("secret"));
    assert!(bench.nothing_installed());
    let size = small().len() as u64;
    let last = Progress::Receiving {
        bytes: size,
        of: Some(size),
    };
    assert!(bench.reported.contains(&last), "{:?}", bench.reported);
    assert_eq!(bench.reported.last(), Some(&Progress::Reading));

    let path = fetched.install(&bench.networks, &[2.0]).unwrap();
    assert_eq!(path, bench.networks.path("mine").unwrap());
    assert_eq!(bench.files(), ["mine.safetensors"]);
    let found = bench.networks.find("mine").unwrap();
    assert_eq!(found.about.source, server.url("/a/small.pth"));
    assert_eq!(found.scales, [2.0]);
    assert_eq!(server.requests().len(), 1);

    // The name is taken now, which is found before anything is asked for.
    let error = bench.fetch(url(&server, "/a/small.pth")).unwrap_err();
    assert!(
        matches!(error, FetchError::Network(NetworkError::Exists { .. })),
        "{error}"
    );
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_download_that_could_not_be_installed_is_not_fetched_again() {
    let server = Server::new(Remote::new(small()), &[]);
    let mut bench = Bench::new();
    let fetched = bench.fetch(url(&server, "/a")).unwrap();
    assert!(fetched.install(&bench.networks, &[f64::NAN]).is_err());
    bench.fetch(url(&server, "/a")).unwrap();
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_break_is_mended_in_the_same_run() {
    let behaviours = [Behaviour::BreakAfter(20_000), Behaviour::BreakAfter(7)];
    let server = Server::new(Remote::new(small()), &behaviours);
    let mut bench = Bench::new();
    let fetched = bench.fetch(url(&server, "/a")).unwrap();
    assert_eq!(fetched.file.sha256, hex(&small()));
    assert_eq!(bench.waits(), ["the connection broke off"; 2]);
    let requests = server.requests();
    assert_eq!(requests[0].range, None);
    assert_eq!(requests[1].range.as_deref(), Some("bytes=20000-"));
    assert_eq!(requests[2].range.as_deref(), Some("bytes=20007-"));
    assert_eq!(requests[2].if_range.as_deref(), Some("\"1\""));
}

#[test]
fn a_break_is_mended_in_a_later_run() {
    let breaks = [
        Behaviour::BreakAfter(20_000),
        Behaviour::Close,
        Behaviour::Close,
    ];
    let server = Server::new(Remote::new(small()), &breaks);
    let mut bench = Bench::new();
    let error = bench.fetch(url(&server, "/a.pth")).unwrap_err().to_string();
    assert!(
        error.contains("the connection broke off, 3 times in a row"),
        "{error}"
    );
    assert!(
        error.ends_with("run `impasto weights import a.pth --name mine`."),
        "{error}"
    );
    assert_eq!(bench.files(), ["mine.part", "mine.part.json"]);
    assert!(bench.nothing_installed());

    let fetched = bench.fetch(url(&server, "/a.pth")).unwrap();
    assert_eq!(fetched.file.sha256, hex(&small()));
    let last = server.requests().pop().unwrap();
    assert_eq!(last.range.as_deref(), Some("bytes=20000-"));
}

#[test]
fn another_address_does_not_go_on_where_one_broke_off() {
    let breaks = [Behaviour::BreakAfter(20_000), Behaviour::Status(404, "")];
    let server = Server::new(Remote::new(small()), &breaks);
    let mut bench = Bench::new();
    bench.fetch(url(&server, "/a")).unwrap_err();
    bench.fetch(url(&server, "/b")).unwrap();
    assert_eq!(server.requests().pop().unwrap().range, None);
}

#[test]
fn a_server_without_ranges_begins_anew() {
    for behaviour in [Behaviour::NoRanges, Behaviour::NoVersion] {
        let breaks = [Behaviour::BreakAfter(20_000), behaviour];
        let mut remote = Remote::new(small());
        if behaviour == Behaviour::NoVersion {
            remote.etag = None;
        }
        let server = Server::new(remote, &breaks);
        let mut bench = Bench::new();
        let fetched = bench.fetch(url(&server, "/a")).unwrap();
        assert_eq!(fetched.file.sha256, hex(&small()));
        assert_eq!(server.requests().len(), 2);
    }
}

#[test]
fn a_file_that_changed_meanwhile_is_fetched_anew() {
    let server = Server::new(Remote::new(small()), &[Behaviour::BreakAfter(20_000)]);
    let mut bench = Bench::new();
    bench
        .fetch_until(url(&server, "/a"), &|bytes| bytes > 0)
        .unwrap_err();
    let other = weights(&[("features.0", 64)], &[0.25; 9], 9_000);
    server.replace(Remote {
        etag: Some("\"2\"".to_owned()),
        bytes: other.clone(),
    });
    let fetched = bench.fetch(url(&server, "/a")).unwrap();
    assert_eq!(fetched.file.sha256, hex(&other));
}

#[test]
fn an_answer_that_is_none_to_the_question_is_not_added() {
    for odd in [
        Behaviour::OtherRange,
        Behaviour::OtherSize,
        Behaviour::OtherVersion,
        Behaviour::Status(416, ""),
    ] {
        let breaks = [Behaviour::BreakAfter(20_000), odd];
        let server = Server::new(Remote::new(small()), &breaks);
        let mut bench = Bench::new();
        let fetched = bench.fetch(url(&server, "/a")).unwrap();
        assert_eq!(fetched.file.sha256, hex(&small()), "{odd:?}");
        let waits = ["the connection broke off", "it has changed meanwhile"];
        assert_eq!(bench.waits(), waits, "{odd:?}");
    }
}

#[test]
fn redirects_are_followed_but_not_for_ever() {
    let redirects = [Behaviour::Redirect("/b"), Behaviour::Redirect("/c")];
    let server = Server::new(Remote::new(small()), &redirects);
    let mut bench = Bench::new();
    let fetched = bench.fetch(url(&server, "/a")).unwrap();
    assert_eq!(fetched.about.source, server.url("/a"));
    let paths: Vec<String> = (server.requests().into_iter())
        .map(|request| request.path)
        .collect();
    assert_eq!(paths, ["/a", "/b", "/c"]);

    // A part of a file is asked for through redirects as well.
    let breaks = [Behaviour::BreakAfter(100), Behaviour::Redirect("/b")];
    let server = Server::new(Remote::new(small()), &breaks);
    Bench::new().fetch(url(&server, "/a")).unwrap();
    let last = server.requests().pop().unwrap();
    assert_eq!(
        (last.path.as_str(), last.range.as_deref()),
        ("/b", Some("bytes=100-"))
    );

    let server = Server::new(Remote::new(small()), &[Behaviour::Redirect("/a"); 20]);
    let error = Bench::new().fetch(url(&server, "/a")).unwrap_err();
    assert!(
        error.to_string().contains("it leads on more than 5 times"),
        "{error}"
    );
    assert_eq!(server.requests().len(), 6);
}

#[test]
fn a_lie_about_the_size_is_found() {
    // More than comes, again and again.
    let server = Server::new(Remote::new(small()), &[Behaviour::SaysMore; 9]);
    let mut bench = Bench::new();
    let error = bench.fetch(url(&server, "/a")).unwrap_err().to_string();
    assert!(error.contains("3 times in a row"), "{error}");
    assert!(bench.nothing_installed());
    // Less than there is: the end is cut off, and the file is no file.
    let server = Server::new(Remote::new(small()), &[Behaviour::SaysLess]);
    let mut bench = Bench::new();
    let error = bench.fetch(url(&server, "/a")).unwrap_err();
    assert!(
        matches!(&error, FetchError::Weights(error) if matches!(error.kind, WeightsErrorKind::Damaged(_))),
        "{error}"
    );
    assert!(bench.files().is_empty());
}

#[test]
fn far_too_much_is_not_fetched() {
    let server = Server::new(Remote::new(small()), &[Behaviour::SaysHuge]);
    let mut bench = Bench::new();
    let error = bench.fetch(url(&server, "/a")).unwrap_err();
    assert!(matches!(error, FetchError::TooLarge { .. }), "{error}");
    assert!(bench.files().is_empty());
}

#[test]
fn a_file_of_unknown_size_is_fetched_to_its_end() {
    let server = Server::new(Remote::new(small()), &[Behaviour::Chunked]);
    let mut bench = Bench::new();
    let fetched = bench.fetch(url(&server, "/a")).unwrap();
    assert_eq!(fetched.file.sha256, hex(&small()));
    // A chunk that never ends is a break.
    let cut = [Behaviour::ChunkedAndCut, Behaviour::Fine];
    let server = Server::new(Remote::new(small()), &cut);
    let fetched = Bench::new().fetch(url(&server, "/a")).unwrap();
    assert_eq!(fetched.file.sha256, hex(&small()));
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn what_will_not_pass_is_not_tried_again() {
    for (status, words) in [
        (404, "the server answers 404 Not Found."),
        (403, "the server answers 403 Forbidden."),
        (299, "the server answers 299."),
        (204, "the server answers 204 No Content."),
    ] {
        let server = Server::new(Remote::new(small()), &[Behaviour::Status(status, "")]);
        let mut bench = Bench::new();
        let error = bench.fetch(url(&server, "/a")).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert_eq!(server.requests().len(), 1);
        assert!(bench.files().is_empty());
    }
    let server = Server::new(Remote::new(small()), &[Behaviour::Compressed]);
    let error = Bench::new().fetch(url(&server, "/a")).unwrap_err();
    assert!(error.to_string().contains("compresses"), "{error}");
}

#[test]
fn what_may_pass_is_tried_again() {
    let busy = [
        Behaviour::Status(500, ""),
        Behaviour::Status(429, "Retry-After: 0\r\n"),
    ];
    let server = Server::new(Remote::new(small()), &busy);
    let mut bench = Bench::new();
    bench.fetch(url(&server, "/a")).unwrap();
    let words = [
        "the server answers 500 Internal Server Error",
        "the server answers 429 Too Many Requests",
    ];
    assert_eq!(bench.waits(), words);

    let server = Server::new(Remote::new(small()), &[Behaviour::Status(503, ""); 9]);
    let error = Bench::new().fetch(url(&server, "/a")).unwrap_err();
    assert!(error.to_string().contains("3 times in a row"), "{error}");
    assert_eq!(server.requests().len(), 3);

    // A server that asks for more patience than anyone has.
    let later = Behaviour::Status(503, "Retry-After: 3600\r\n");
    let server = Server::new(Remote::new(small()), &[later; 9]);
    let error = Bench::new().fetch(url(&server, "/a")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("asks to come back in 60 minutes"),
        "{error}"
    );
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn headway_gives_new_tries() {
    // Five breaks, with three tries, but a megabyte and more in between.
    let bytes = weights(&[("features.0", 64)], &[0.5; 9], 2_000_000);
    let server = Server::new(
        Remote::new(bytes.clone()),
        &[Behaviour::BreakAfter(1_200_000); 5],
    );
    let fetched = Bench::new().fetch(url(&server, "/a")).unwrap();
    assert_eq!(fetched.file.sha256, hex(&bytes));
    assert_eq!(server.requests().len(), 6);
}

/// An request that gives a connection a second to bring this many bytes.
fn few_retries(server: &Server, tries: u32, min_bytes: u64) -> FetchRequest {
    FetchRequest {
        name: "mine".to_owned(),
        source: url(server, "/a"),
        replace: false,
        retries: Retries {
            tries,
            pause: Duration::ZERO,
            stall: Duration::from_secs(1),
            min_bytes,
        },
    }
}

#[test]
fn silence_counts_as_a_break() {
    let silent = [Behaviour::SilentAfter(20_000), Behaviour::Silent];
    let server = Server::new(Remote::new(small()), &silent);
    let bench = Bench::new();
    // A busy machine may be silent more often than the server is.
    let request = few_retries(&server, 20, 1);
    let mut waits = Vec::new();
    let mut progress = |progress| {
        if let Progress::Waiting { reason, .. } = progress {
            waits.push(reason);
        }
    };
    let fetched = fetch(&request, &bench.networks, &mut progress, &|| false).unwrap();
    assert_eq!(fetched.file.sha256, hex(&small()));
    assert!(waits.len() >= 2, "{waits:?}");
    assert!(
        waits.iter().all(|reason| reason == "no data for 1 s"),
        "{waits:?}"
    );
}

#[test]
fn next_to_nothing_counts_as_a_break() {
    let server = Server::new(Remote::new(small()), &[Behaviour::Dribble; 3]);
    let bench = Bench::new();
    let request = few_retries(&server, 3, 1000);
    let error = fetch(&request, &bench.networks, &mut |_| {}, &|| false).unwrap_err();
    let words = error.to_string();
    assert!(
        words.contains("bytes came in 1 s, 3 times in a row"),
        "{words}"
    );
    // What came is kept: the next try continues from there.
    let firsts: Vec<_> = server
        .requests()
        .into_iter()
        .map(|request| request.range)
        .collect();
    assert_eq!(firsts[0], None);
    assert!(firsts[1] < firsts[2] && firsts[1].is_some(), "{firsts:?}");
}

#[test]
fn a_stop_is_received_in_silence_and_what_came_is_kept() {
    let server = Server::new(Remote::new(small()), &[Behaviour::SilentAfter(20_000)]);
    let mut bench = Bench::new();
    let error = bench.fetch_until(url(&server, "/a"), &|bytes| bytes == 20_000);
    let error = error.unwrap_err();
    assert!(matches!(error, FetchError::Stopped), "{error}");
    assert!(bench.nothing_installed());
    bench.fetch(url(&server, "/a")).unwrap();
    let last = server.requests().pop().unwrap();
    assert_eq!(last.range.as_deref(), Some("bytes=20000-"));
}

#[test]
fn nobody_answers() {
    // A port on which nothing listens.
    let gone = "http://127.0.0.1:1/a.pth";
    let mut bench = Bench::new();
    let error = bench.fetch(Source::at(gone, None)).unwrap_err().to_string();
    assert!(error.contains("Connection refused"), "{error}");
    assert!(error.contains(gone) && error.contains("impasto weights import a.pth"));
    assert!(bench.files().is_empty());

    let server = Server::new(Remote::new(small()), &[Behaviour::Close; 9]);
    let error = Bench::new().fetch(url(&server, "/a")).unwrap_err();
    assert!(error.to_string().contains("broke off, 3 times"), "{error}");
    let server = Server::new(Remote::new(small()), &[Behaviour::Gibberish; 9]);
    let error = Bench::new()
        .fetch(url(&server, "/a"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("3 times in a row"), "{error}");
    assert!(!error.contains('\u{1b}'), "{error:?}");
}

#[test]
fn two_do_not_fetch_the_same_at_a_time() {
    let server = Server::new(Remote::new(small()), &[]);
    let mut bench = Bench::new();
    let first = bench.fetch(url(&server, "/a")).unwrap();
    let error = bench.fetch(url(&server, "/a")).unwrap_err();
    assert!(matches!(error, FetchError::Busy { .. }), "{error}");
    first.install(&bench.networks, &[1.0]).unwrap();
    assert_eq!(bench.files(), ["mine.safetensors"]);
}

#[test]
fn a_page_in_place_of_a_file_is_refused_and_removed() {
    let page = b"<html>Accept our terms\x1b[2J</html>".to_vec();
    let server = Server::new(Remote::new(page), &[]);
    let mut bench = Bench::new();
    let error = bench.fetch(url(&server, "/a")).unwrap_err();
    let expected = format!(
        "Cannot use the weights in {}: it is in none of the known formats.",
        server.url("/a")
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert!(bench.files().is_empty());
}

#[test]
fn a_file_whose_convention_is_missing_is_kept_for_another_order() {
    let server = Server::new(Remote::new(small()), &[]);
    let mut bench = Bench::new();
    let error = bench
        .fetch(Source::at(&server.url("/a"), None))
        .unwrap_err();
    assert!(
        error.to_string().contains("State the convention"),
        "{error}"
    );
    let fetched = bench.fetch(url(&server, "/a")).unwrap();
    assert_eq!(fetched.file.convention, Convention::RgbImageNet);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_file_of_the_users_is_read_where_it_is() {
    let mut bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("my net.pth");
    fs::write(&path, small()).unwrap();
    // What is left of a download that did not succeed is not needed any more.
    let server = Server::new(Remote::new(small()), &[Behaviour::BreakAfter(20_000)]);
    let stopped = bench.fetch_until(url(&server, "/a"), &|bytes| bytes > 0);
    assert!(matches!(stopped, Err(FetchError::Stopped)));
    assert_eq!(bench.files(), ["mine.part", "mine.part.json"]);
    let source = Source::at(path.to_str().unwrap(), Some(Convention::BgrMinusMean));
    let fetched = bench.fetch(source).unwrap();
    assert_eq!(fetched.about.source, "my net.pth");
    assert_eq!(fetched.about.source_sha256, Some(hex(&small())));
    fetched.install(&bench.networks, &[1.0]).unwrap();
    assert_eq!(bench.files(), ["mine.safetensors"]);
    assert_eq!(fs::read(&path).unwrap(), small());

    let mut bench = Bench::new();
    let error = bench.fetch(Source::at("/nowhere/a.pth", None)).unwrap_err();
    assert!(
        error.to_string().contains("there is no such file"),
        "{error}"
    );
    for place in ["ftp://example.org/a.pth", "://", "https://"] {
        let error = bench.fetch(Source::at(place, None)).unwrap_err();
        assert!(matches!(error, FetchError::Address { .. }), "{error}");
    }
}
