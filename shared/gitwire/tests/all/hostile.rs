//! Servers that do wrong, and what is left at the target.

use std::time::Duration;

use signalbox_gitwire::http::{Authorization, Cause, Client, Failure, Kind, Patience, Remote};
use signalbox_gitwire::pkt::{self, Decoder, Pkt};
use signalbox_gitwire::{Outcome, PackFault, Together, WireError};
use tokio_rustls::rustls::RootCertStore;

use crate::host::{End, Host, Spoilt, Ways, client, client_with};
use crate::mirror::mirror;
use crate::repository::Repository;
use crate::scripted::{Say, Scripted, answer, redirect};

const SECRET: &str = "s3cret-token";
const ADVERTISED: &str = "application/x-git-upload-pack-advertisement";

fn authorization() -> Option<Authorization> {
    Some(Authorization::basic("anna", SECRET).unwrap())
}

/// Lists the refs at a server that must not manage to show them.
async fn refused(server: &Scripted) -> Failure {
    refused_by(server, client()).await
}

async fn refused_by(server: &Scripted, client: Client) -> Failure {
    let failure = Remote::new(&client, server.url(), authorization()).source(&[]).await.unwrap_err();
    let shown = format!("{failure} {failure:?}");
    assert!(shown.contains("127.0.0.1") && shown.contains("/acme/payments.git"), "{shown}");
    for secret in [SECRET, "YW5uYTpzM2NyZXQtdG9rZW4="] {
        assert!(!shown.contains(secret), "{shown}");
    }
    failure
}

#[tokio::test]
async fn each_status_is_told_apart_and_says_whether_to_try_again() {
    for (status, kind, hint) in [
        ("401 Unauthorized", Kind::Refused, "credentials"),
        ("403 Forbidden", Kind::Refused, "forbids"),
        ("404 Not Found", Kind::Refused, "no such repository"),
        ("410 Gone", Kind::Refused, "no such repository"),
        ("400 Bad Request", Kind::Refused, "400"),
        ("429 Too Many Requests", Kind::Retry, "429"),
        ("500 Internal Server Error", Kind::Retry, "500"),
        ("501 Not Implemented", Kind::Refused, "501"),
        ("503 Service Unavailable", Kind::Retry, "503"),
    ] {
        let words = format!("sorry, {SECRET} and YW5uYTpzM2NyZXQtdG9rZW4= are not welcome\n");
        let server = Scripted::start(move |_| answer(status, "text/plain; charset=utf-8", words.as_bytes())).await;
        let failure = refused(&server).await;
        let text = failure.to_string();
        assert_eq!(failure.kind(), kind, "{text}");
        assert!(text.contains(hint) && text.contains("*** and *** are not welcome"), "{text}");
    }
}

#[tokio::test]
async fn a_page_for_people_is_not_git() {
    let page = b"<html>please log in</html>";
    let server = Scripted::start(|_| answer("200 OK", "text/html", page)).await;
    let failure = refused(&server).await;
    assert!(matches!(&failure.cause, Cause::NotGit(kind) if kind == "text/html") && failure.kind() == Kind::Refused);
    // Even when it calls itself git's.
    let server = Scripted::start(|_| answer("200 OK", ADVERTISED, page)).await;
    assert!(matches!(refused(&server).await.cause, Cause::Wire(WireError::Pkt(_))));
}

#[tokio::test]
async fn a_host_that_says_no_in_the_protocol_is_not_asked_again() {
    for (words, kind) in [
        ("ERR access denied or repository not exported: /payments.git\n", Kind::Refused),
        ("ERR Repository not found.\n", Kind::Refused),
        ("ERR you are Not Authorized to read this\n", Kind::Refused),
        ("ERR upload-pack: not our ref 1212\n", Kind::Retry),
        ("ERR the disk is full\n", Kind::Retry),
    ] {
        let mut body = b"001e# service=git-upload-pack\n0000".to_vec();
        pkt::write(&mut body, words.as_bytes()).unwrap();
        let server = Scripted::start(move |_| answer("200 OK", ADVERTISED, &body)).await;
        let failure = refused(&server).await;
        assert!(matches!(failure.cause, Cause::Wire(WireError::Said(_))), "{failure:?}");
        assert_eq!(failure.kind(), kind, "{failure}");
    }
}

#[tokio::test]
async fn a_handshake_that_hangs_is_given_up_as_soon_as_a_connection_that_is_not_made() {
    // It accepts, and never says a word of TLS.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://127.0.0.1:{}/a", listener.local_addr().unwrap().port());
    let patience = Patience { connect: Duration::from_millis(300), ..Patience::default() };
    let client = Client::trusting(RootCertStore::empty(), patience).unwrap();
    let asked = Remote::new(&client, url.parse().unwrap(), None).source(&[]).await;
    let failure = asked.unwrap_err();
    assert!(matches!(failure.cause, Cause::Unreachable(_)) && failure.kind() == Kind::Retry, "{failure:?}");
    drop(listener);
}

#[tokio::test]
async fn a_pack_that_is_too_large_for_its_target_is_told_with_the_targets_words() {
    let host = Host::start(Ways::default()).await;
    let source = host.repository("s.git", &[]);
    for (name, length) in [("short.git", 300_000), ("long.git", 6_000_000)] {
        let target = host.repository(name, &["receive.maxInputSize=100000"]);
        source.commit("main", "large", &Repository::noise(length));
        let pushed = mirror(&host.remote("s.git"), &host.remote(name), Together::Each).await.unwrap().unwrap();
        let words = &pushed.report.messages;
        assert!(pushed.report.unpack.is_err() && words.contains("exceeds maximum allowed size"), "{pushed:?}");
        assert!(target.is_untouched(), "{}", target.git(&["count-objects", "-v"]));
    }
}

#[tokio::test]
async fn a_file_that_a_targets_hook_refuses_leaves_nothing_and_its_words_are_kept_without_the_credential() {
    let wanted = "Basic YW5uYTpzM2NyZXQtdG9rZW4=";
    let host = Host::start(Ways { wants: Some(wanted), ..Ways::default() }).await;
    let (source, target) = (host.repository("s.git", &[]), host.repository("t.git", &[]));
    source.commit("main", "large", &Repository::noise(300_000));
    let script = format!("echo 'error: GH001: Large files detected, {SECRET}. File large exceeds 100 kB' >&2; exit 1");
    target.hook("pre-receive", &script);
    let remote = |name: &str| host.remote_as(name, authorization());
    let pushed = mirror(&remote("s.git"), &remote("t.git"), Together::Each).await.unwrap().unwrap();
    assert_eq!(pushed.report.results[0].outcome, Outcome::Refused("pre-receive hook declined".into()));
    let words = &pushed.report.messages;
    assert!(words.contains("GH001: Large files detected, ***. File large exceeds 100 kB"), "{words}");
    assert!(target.refs().is_empty());
}

#[tokio::test]
async fn half_an_answer_is_not_taken_for_the_whole() {
    let whole = b"001e# service=git-upload-pack\n0000000eversion 2\n";
    let server = Scripted::start(|_| answer("200 OK", ADVERTISED, whole)).await;
    let failure = refused(&server).await;
    assert!(matches!(failure.cause, Cause::Wire(WireError::Ended { .. })) && failure.kind() == Kind::Retry);

    let torn = format!("HTTP/1.1 200 OK\r\nContent-Type: {ADVERTISED}\r\nContent-Length: 1000\r\n\r\n0000");
    let server = Scripted::start(move |_| Say::Bytes(torn.clone().into_bytes())).await;
    let failure = refused(&server).await;
    assert!(matches!(failure.cause, Cause::BrokenOff(_)) && failure.kind() == Kind::Retry, "{failure:?}");
}

#[tokio::test]
async fn a_server_that_falls_silent_is_given_up() {
    let begun = format!("HTTP/1.1 200 OK\r\nContent-Type: {ADVERTISED}\r\nContent-Length: 1000\r\n\r\n001e");
    let server = Scripted::start(move |_| Say::Hang(begun.clone().into_bytes())).await;
    let failure = refused_by(&server, client_with(Duration::from_millis(700))).await;
    assert!(matches!(failure.cause, Cause::Stalled { .. }) && failure.kind() == Kind::Retry, "{failure}");
    assert!(failure.to_string().contains("sent nothing for 700ms"), "{failure}");
}

#[tokio::test]
async fn a_host_that_is_not_there_may_come_back() {
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/a").parse().unwrap();
    let failure = Remote::new(&client(), url, None).source(&[]).await.unwrap_err();
    assert!(matches!(failure.cause, Cause::Unreachable(_)) && failure.kind() == Kind::Retry, "{failure:?}");
}

#[tokio::test]
async fn a_redirect_is_followed_for_the_refs_and_leads_all_that_follows() {
    let host = Host::start(Ways::default()).await;
    let source = host.repository("new.git", &[]);
    source.commit("main", "a", b"a\n");
    let url = host.url("new.git").to_string();
    let server = Scripted::start(move |line| {
        assert!(line.starts_with("get "), "nothing is sent here but the first question: {line}");
        redirect(&format!("{url}/info/refs?service=git-upload-pack"))
    })
    .await;
    let source = Remote::new(&client(), server.url(), authorization()).source(&[]).await.unwrap();
    assert_eq!(source.remote().url(), &host.url("new.git"));
    assert_eq!(source.listing.refs.len(), 1);
    assert!(server.heads()[0].contains("authorization"));
    let seen = host.seen();
    assert_eq!(seen.len(), 2, "info/refs and ls-refs");
    assert!(seen.iter().all(|seen| seen.authorization.is_none()), "another host sees no credential: {seen:?}");
}

#[tokio::test]
async fn what_a_source_can_do_is_asked_once_and_again_when_it_comes_up_against_it() {
    let lines = |lines: &[&str]| {
        let mut body = Vec::new();
        lines.iter().for_each(|line| {
            if line.is_empty() { body.extend(b"0000") } else { pkt::write(&mut body, line.as_bytes()).unwrap() }
        });
        body
    };
    let (old, new) = ("1".repeat(40), "2".repeat(40));
    let service = "# service=git-upload-pack\n";
    let second =
        lines(&[service, "", "version 2\n", "ls-refs=unborn\n", "fetch=shallow\n", "object-format=sha1\n", ""]);
    let zeroth = lines(&[service, "", &format!("{new} refs/heads/main\0report-status\n"), ""]);
    let listed = lines(&[&format!("{old} refs/heads/main\n"), ""]);
    let asked = std::sync::atomic::AtomicUsize::new(0);
    // In between it becomes a server of version 0, which knows no `ls-refs`.
    let server = Scripted::start(move |line| {
        let number = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        match (line.starts_with("get "), number) {
            (true, 0) => answer("200 OK", ADVERTISED, &second),
            (true, _) => answer("200 OK", ADVERTISED, &zeroth),
            (false, 0..=2) => answer("200 OK", "application/x-git-upload-pack-result", &listed),
            (false, _) => answer("400 Bad Request", "text/plain", b"what is that?"),
        }
    })
    .await;
    let client = client();
    let list = || async { Remote::new(&client, server.url(), None).source(&[]).await.unwrap() };
    for (requests, tip) in [(2, &old), (3, &old), (5, &new)] {
        assert_eq!(list().await.listing.refs[0].id.to_string(), *tip);
        assert_eq!(server.heads().len(), requests, "{:?}", server.heads());
    }
}

#[tokio::test]
async fn a_redirect_to_something_else_is_not_followed() {
    for location in [
        "https://127.0.0.1/acme/payments.git/info/refs?service=git-upload-pack",
        "http://git.example.com/acme/payments.git/info/refs?service=git-upload-pack",
        "http://anna:s3cret-token@127.0.0.1/a/info/refs?service=git-upload-pack",
        "/login?next=s3cret-token",
        "",
    ] {
        let server = Scripted::start(move |_| redirect(location)).await;
        let failure = refused(&server).await;
        assert!(matches!(failure.cause, Cause::Redirected(_)) && failure.kind() == Kind::Refused, "{failure}");
        assert_eq!(server.heads().len(), 1);
    }
    let round = "/acme/payments.git/info/refs?service=git-upload-pack";
    assert!(matches!(refused(&Scripted::start(move |_| redirect(round)).await).await.cause, Cause::Redirected(_)));
}

#[tokio::test]
async fn credentials_are_sent_where_they_belong() {
    let wanted = "Basic YW5uYTpzM2NyZXQtdG9rZW4=";
    let host = Host::start(Ways { wants: Some(wanted), ..Ways::default() }).await;
    host.repository("s.git", &[]).commit("main", "a", b"a\n");
    host.repository("t.git", &[]);
    let remote = |name: &str| host.remote_as(name, authorization());
    mirror(&remote("s.git"), &remote("t.git"), Together::Each).await.unwrap().unwrap();
    let seen = host.seen();
    assert!(seen.len() == 5 && seen.iter().all(|seen| !seen.line.contains(SECRET)), "{seen:?}");
    let failure = host.remote("s.git").source(&[]).await.unwrap_err();
    assert!(matches!(failure.cause, Cause::Unauthorized(_)), "{failure}");
}

/// Takes the pack out of its bands, lets something happen to it, and puts it back.
fn with_pack(answer: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut decoder = Decoder::default();
    decoder.feed(answer);
    let (mut pack, mut out) = (Vec::new(), Vec::new());
    while let Some(line) = decoder.next_pkt().unwrap() {
        match line {
            Pkt::Data(payload) if payload.first() == Some(&1) => pack.extend_from_slice(&payload[1..]),
            Pkt::Data(payload) if payload.first() != Some(&2) => pkt::write(&mut out, &payload).unwrap(),
            _ => {}
        }
    }
    change(&mut pack);
    for piece in pack.chunks(60_000) {
        pkt::write(&mut out, &[b"\x01", piece].concat()).unwrap();
    }
    pkt::write_flush(&mut out);
    out
}

fn wrong_trailer(answer: &[u8]) -> Spoilt {
    let bytes = with_pack(answer, |pack| *pack.last_mut().unwrap() ^= 1);
    Spoilt { bytes, end: End::Proper }
}

fn a_byte_less(answer: &[u8]) -> Spoilt {
    let bytes = with_pack(answer, |pack| pack.truncate(pack.len() - 1));
    Spoilt { bytes, end: End::Proper }
}

fn no_pack(answer: &[u8]) -> Spoilt {
    let bytes = with_pack(answer, |pack| pack[0] = b'<');
    Spoilt { bytes, end: End::Proper }
}

fn half(answer: &[u8], end: End) -> Spoilt {
    Spoilt { bytes: answer[..answer.len() * 9 / 10].to_vec(), end }
}

fn gives_up(answer: &[u8]) -> Spoilt {
    let mut bytes = with_pack(answer, |_| {});
    bytes.truncate(bytes.len() - 4);
    pkt::write(&mut bytes, b"\x03aborting due to possible repository corruption\n").unwrap();
    Spoilt { bytes, end: End::Proper }
}

/// A copy whose source goes wrong: the failure, after which nothing may be left at the target.
async fn spoilt(spoils: fn(&[u8]) -> Spoilt, length: usize, hasty: bool) -> Failure {
    let (from, to) =
        (Host::start(Ways { spoils: Some(spoils), ..Ways::default() }).await, Host::start(Ways::default()).await);
    from.repository("s.git", &[]).commit("main", "large", &Repository::noise(length));
    let target = to.repository("t.git", &[]);
    let source = if hasty { from.hasty("s.git") } else { from.remote("s.git") };
    let failure = mirror(&source, &to.remote("t.git"), Together::Each).await.unwrap_err();
    assert!(failure.place.contains("/s.git"), "it is the source's failure: {failure}");
    // A long pack is on its way to the target by then, a short one never starts; who is hasty may give up before either.
    to.is_done(length > 1_000_000 && !hasty).await;
    assert!(length > 1_000_000 || !to.seen().iter().any(|seen| seen.chunked));
    assert!(target.is_untouched(), "{}", target.git(&["count-objects", "-v"]));
    failure
}

#[tokio::test]
async fn nothing_is_left_at_the_target_of_a_pack_that_is_not_whole() {
    for length in [10_000, 4_000_000] {
        for (spoils, expected) in [
            (wrong_trailer as fn(&[u8]) -> Spoilt, "half a pack, or a damaged one"),
            (a_byte_less, "half a pack, or a damaged one"),
            (gives_up, "aborting due to possible repository corruption"),
            (|answer| half(answer, End::Proper), "ends before it is complete"),
            (|answer| half(answer, End::Torn), "broke off"),
            (|answer| half(answer, End::Never), "sent nothing for"),
        ] {
            let failure = spoilt(spoils, length, expected.starts_with("sent nothing")).await;
            assert!(failure.to_string().contains(expected), "{failure}");
            assert_eq!(failure.kind(), Kind::Retry, "{failure}");
        }
    }
}

#[tokio::test]
async fn what_is_no_pack_is_not_sent_on_at_all() {
    let failure = spoilt(no_pack, 10_000, false).await;
    assert!(matches!(failure.cause, Cause::Wire(WireError::Pack(PackFault::NotAPack(_)))), "{failure}");
    assert_eq!(failure.kind(), Kind::Refused);
}

#[tokio::test]
async fn nothing_is_left_of_a_push_that_its_owner_gave_up() {
    // The source never comes to an end, so that the push is under way for certain.
    let spoils = Some((|answer| half(answer, End::Never)) as fn(&[u8]) -> Spoilt);
    let (from, to) = (Host::start(Ways { spoils, ..Ways::default() }).await, Host::start(Ways::default()).await);
    from.repository("s.git", &[]).commit("main", "large", &Repository::noise(6_000_000));
    let target = to.repository("t.git", &[]);
    target.hook("pre-receive", "touch arrived");
    let (source, sink) = (from.remote("s.git"), to.remote("t.git"));
    let copy = tokio::spawn(async move { mirror(&source, &sink, Together::Each).await });
    let begun = || to.seen().iter().any(|seen| seen.chunked);
    while !begun() {
        assert!(!copy.is_finished(), "{:?}", copy.await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    copy.abort();
    assert!(copy.await.unwrap_err().is_cancelled());
    to.is_done(false).await;
    assert!(!target.dir.join("arrived").exists());
    assert!(target.is_untouched(), "{}", target.git(&["count-objects", "-v"]));
}

/// A target that shows nothing but what a test says to a push.
fn target(push: impl Fn() -> Say + Send + Sync + 'static) -> impl Fn(&str) -> Say + Send + Sync + 'static {
    move |line| {
        if line.starts_with("get ") {
            let refs = format!("{} capabilities^{{}}\0report-status side-band-64k ofs-delta", "0".repeat(40));
            let mut body = b"001f# service=git-receive-pack\n0000".to_vec();
            pkt::write(&mut body, refs.as_bytes()).unwrap();
            pkt::write_flush(&mut body);
            return answer("200 OK", "application/x-git-receive-pack-advertisement", &body);
        }
        push()
    }
}

async fn pushed_to(server: &Scripted, length: usize, silence: Duration) -> Failure {
    let from = Host::start(Ways::default()).await;
    from.repository("s.git", &[]).commit("main", "large", &Repository::noise(length));
    // The source has all the time that it needs; only the target is watched.
    let target = Remote::new(&client_with(silence), server.url(), authorization());
    mirror(&from.remote("s.git"), &target, Together::Each).await.unwrap_err()
}

#[tokio::test]
async fn a_target_that_says_no_stops_the_push() {
    let long = Duration::from_secs(60);
    let server = Scripted::start(target(|| answer("403 Forbidden", "text/plain", b"read only"))).await;
    let failure = pushed_to(&server, 10_000, long).await;
    assert!(matches!(&failure.cause, Cause::Forbidden(words) if words == "read only"), "{failure}");
    let heads = server.heads();
    assert!(heads[1].contains("content-length") && !heads[1].contains("chunked"), "{heads:?}");

    // A long one is not even begun: the probe is refused.
    let server = Scripted::start(target(|| answer("411 Length Required", "text/html", b""))).await;
    let failure = pushed_to(&server, 3_000_000, long).await;
    assert!(matches!(failure.cause, Cause::LengthRequired { .. }), "{failure}");
    assert!(server.heads()[1].contains("content-length: 4\r\n"), "{:?}", server.heads());
    let server = Scripted::start(target(|| redirect("/elsewhere/git-receive-pack"))).await;
    assert!(matches!(pushed_to(&server, 10_000, long).await.cause, Cause::Redirected(_)));
    let server = Scripted::start(target(|| answer("200 OK", "text/html", b"<html>"))).await;
    assert!(matches!(pushed_to(&server, 10_000, long).await.cause, Cause::NotGit(_)));
    let server = Scripted::start(target(|| answer("200 OK", "application/x-git-receive-pack-result", b""))).await;
    assert!(matches!(pushed_to(&server, 10_000, long).await.cause, Cause::Wire(WireError::Ended { .. })));
}

#[tokio::test]
async fn a_target_that_takes_nothing_any_more_is_given_up() {
    // The probe is answered; the pack is never read.
    let probed = std::sync::atomic::AtomicBool::new(false);
    let kind = "application/x-git-receive-pack-result";
    let server = Scripted::start(target(move || match probed.swap(true, std::sync::atomic::Ordering::Relaxed) {
        false => answer("200 OK", kind, b""),
        true => Say::Hang(Vec::new()),
    }))
    .await;
    let failure = pushed_to(&server, 16_000_000, Duration::from_secs(2)).await;
    assert!(failure.to_string().contains("the target has taken nothing of the pack for 2s"), "{failure}");
    assert_eq!(failure.kind(), Kind::Retry);
}
