use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{Capabilities, FetchEvent, RefName};

fn id(digit: char) -> Oid {
    Oid::parse(&digit.to_string().repeat(40)).unwrap()
}

fn server(version: Version, capabilities: &[&str]) -> Advertisement {
    let mut list = Capabilities::default();
    capabilities.iter().for_each(|capability| list.add(capability.as_bytes()));
    Advertisement { version, capabilities: list, ..Advertisement::default() }
}

fn v2() -> Advertisement {
    server(Version::V2, &["fetch=shallow filter"])
}

/// `0000` and `0001` stand for themselves.
fn wire(lines: &[&[u8]]) -> Vec<u8> {
    let mut wire = Vec::new();
    for line in lines {
        match *line {
            b"0000" => pkt::write_flush(&mut wire),
            b"0001" => pkt::write_delimiter(&mut wire),
            line => pkt::write(&mut wire, line).unwrap(),
        }
    }
    wire
}

/// The lines of a request, flush and delimiter as `--`.
fn said(request: &[u8]) -> Vec<String> {
    let mut decoder = pkt::Decoder::default();
    decoder.feed(request);
    let mut lines = Vec::new();
    while let Some(pkt) = decoder.next_pkt().unwrap() {
        lines.push(match pkt {
            pkt::Pkt::Data(line) => String::from_utf8(pkt::text(&line).to_vec()).unwrap(),
            _ => "--".to_owned(),
        });
    }
    lines
}

fn read(mut reader: FetchReader, wire: &[u8], size: usize) -> Result<Vec<FetchEvent>, WireError> {
    let mut events: Vec<FetchEvent> = Vec::new();
    for piece in wire.chunks(size) {
        reader.feed(piece);
        while let Some(event) = reader.next_event()? {
            match (events.last_mut(), event) {
                // A bare pack comes in the pieces that it comes in.
                (Some(FetchEvent::Pack(pack)), FetchEvent::Pack(more)) => *pack = [&pack[..], &more].concat().into(),
                (_, event) => events.push(event),
            }
        }
    }
    reader.finish()?;
    Ok(events)
}

fn reader(server: &Advertisement, fetch: &Fetch) -> FetchReader {
    fetch.negotiate(server).unwrap().next_round().unwrap().1
}

fn one() -> Fetch {
    Fetch { wants: vec![id('a')], ..Fetch::default() }
}

fn pack(bytes: &'static [u8]) -> FetchEvent {
    FetchEvent::Pack(Bytes::from_static(bytes))
}

#[test]
fn version_2_asks_for_all_in_one_request() {
    let fetch = Fetch {
        haves: vec![id('b')],
        form: PackForm { thin: true, ofs_delta: true },
        include_tag: true,
        shallow: vec![id('c')],
        deepen: NonZeroU32::new(3),
        filter: Some("blob:none".into()),
        ..one()
    };
    let server = v2();
    let (request, _) = fetch.negotiate(&server).unwrap().next_round().unwrap();
    let expected = format!(
        "command=fetch|--|thin-pack|no-progress|include-tag|ofs-delta|shallow {}|deepen 3|filter blob:none|want {}|have {}|done|--",
        id('c'),
        id('a'),
        id('b')
    );
    assert_eq!(said(&request).join("|"), expected);
}

#[test]
fn version_0_asks_with_what_the_server_has() {
    let server = server(
        Version::V0,
        &[
            "multi_ack",
            "multi_ack_detailed",
            "no-done",
            "side-band",
            "side-band-64k",
            "thin-pack",
            "ofs-delta",
            "agent=x",
        ],
    );
    let fetch = Fetch {
        wants: vec![id('a'), id('d')],
        haves: vec![id('b')],
        form: PackForm { thin: false, ofs_delta: true },
        ..Fetch::default()
    };
    let (request, _) = fetch.negotiate(&server).unwrap().next_round().unwrap();
    let agent = crate::capability::AGENT;
    let expected = format!(
        "want {} multi_ack_detailed no-done side-band-64k ofs-delta agent={agent}|want {}|--|have {}|done",
        id('a'),
        id('d'),
        id('b')
    );
    assert_eq!(said(&request).join("|"), expected);
}

#[test]
fn what_is_not_offered_is_not_asked_for_in_silence() {
    let plain = server(Version::V2, &["fetch"]);
    let deep = Fetch { deepen: NonZeroU32::new(1), ..one() };
    let filtered = Fetch { filter: Some("tree:0".into()), ..one() };
    assert_eq!(deep.negotiate(&plain).unwrap_err(), WireError::Missing("shallow"));
    assert_eq!(filtered.negotiate(&plain).unwrap_err(), WireError::Missing("filter"));
    assert_eq!(Fetch::default().negotiate(&plain).unwrap_err(), WireError::NothingAsked);
    assert_eq!(one().negotiate(&server(Version::V2, &[])).unwrap_err(), WireError::Missing("fetch"));
}

#[test]
fn many_haves_go_in_rounds_that_repeat_what_is_common() {
    let server = v2();
    let fetch = Fetch { haves: "bcdef".chars().map(id).collect(), ..one() };
    let mut talk = fetch.negotiate_in_rounds_of(2, 2, &server).unwrap();
    let mut haves = || {
        let (request, _) = talk.next_round().unwrap();
        talk.is_common(id('c'));
        let lines = said(&request).into_iter();
        lines
            .filter_map(|line| {
                line.strip_prefix("have ").map(|id| id[..1].to_owned()).or((line == "done").then_some(line))
            })
            .collect::<String>()
    };
    assert_eq!([haves(), haves(), haves()], ["bc", "cde", "cfdone"]);
    assert!(talk.is_over());
}

#[test]
fn a_source_that_knows_enough_is_asked_for_the_pack_at_once() {
    let server = v2();
    let fetch = Fetch { haves: "bcdef".chars().map(id).collect(), ..one() };
    let mut talk = fetch.negotiate_in_rounds_of(2, 2, &server).unwrap();
    let (_, reader) = talk.next_round().unwrap();
    assert!(!talk.is_over());
    let (ack, ready) = (format!("ACK {}\n", id('b')), b"ready\n");
    let lines = wire(&[b"acknowledgments\n", ack.as_bytes(), ready, b"0001", b"packfile\n", b"\x01PACK", b"0000"]);
    let events = read(reader, &lines, 11).unwrap();
    assert_eq!(events, [FetchEvent::Common(id('b')), FetchEvent::Ready, pack(b"PACK")]);
    talk.is_ready();
    let (request, _) = talk.next_round().unwrap();
    assert!(talk.is_over() && said(&request).contains(&"done".to_owned()));
}

#[test]
fn a_source_that_wants_to_hear_more_says_so() {
    let server = v2();
    let fetch = Fetch { haves: "bcdef".chars().map(id).collect(), ..one() };
    let (_, reader) = fetch.negotiate_in_rounds_of(2, 2, &server).unwrap().next_round().unwrap();
    assert_eq!(read(reader, &wire(&[b"acknowledgments\n", b"NAK\n", b"0000"]), 9), Ok(Vec::new()));
}

#[test]
fn version_0_without_detailed_acknowledgements_gets_everything_in_one_round() {
    let server = server(Version::V0, &["side-band-64k"]);
    let fetch = Fetch { haves: "bcdef".chars().map(id).collect(), ..one() };
    let mut talk = fetch.negotiate_in_rounds_of(2, 2, &server).unwrap();
    let (request, _) = talk.next_round().unwrap();
    assert_eq!(said(&request).iter().filter(|line| line.starts_with("have ")).count(), 5);
    assert!(talk.is_over());
}

#[test]
fn version_2_answers_in_sections() {
    let lines: Vec<String> = vec![
        format!("shallow {}\n", id('b')),
        format!("unshallow {}\n", id('c')),
        format!("{} refs/heads/x\n", id('d')),
    ];
    let lines = wire(&[
        b"shallow-info\n",
        lines[0].as_bytes(),
        lines[1].as_bytes(),
        b"0001",
        b"wanted-refs\n",
        lines[2].as_bytes(),
        b"0001",
        b"packfile\n",
        b"\x02counting\n",
        b"\x01",
        b"\x01PACK",
        b"\x01more",
        b"0000",
    ]);
    let events = read(reader(&v2(), &one()), &lines, 1000).unwrap();
    assert_eq!(
        events,
        [
            FetchEvent::Shallow(id('b')),
            FetchEvent::Unshallow(id('c')),
            FetchEvent::WantedRef(id('d'), RefName::parse("refs/heads/x").unwrap()),
            FetchEvent::Progress(Bytes::from_static(b"counting\n")),
            pack(b"PACKmore"),
        ]
    );
}

#[test]
fn version_0_answers_with_lines_and_then_bands_or_a_bare_pack() {
    let acks = [format!("ACK {} common\n", id('b')), format!("ACK {} ready\n", id('b')), format!("ACK {}\n", id('b'))];
    let banded = server(Version::V0, &["side-band-64k", "multi_ack_detailed"]);
    let lines = [acks[0].as_bytes(), acks[1].as_bytes(), b"NAK\n", acks[2].as_bytes(), b"\x01PACK", b"0000"];
    let common = FetchEvent::Common(id('b'));
    let expected = [common.clone(), FetchEvent::Ready, common, pack(b"PACK")];
    assert_eq!(read(reader(&banded, &one()), &wire(&lines), 1000).unwrap(), expected);

    let bare = [wire(&[b"NAK\n"]), b"PACK\0\0whatever".to_vec()].concat();
    assert_eq!(read(reader(&server(Version::V0, &[]), &one()), &bare, 3).unwrap(), [pack(b"PACK\0\0whatever")]);
}

#[test]
fn version_0_tells_where_history_ends_first_when_a_depth_was_asked_for() {
    let server = server(Version::V0, &["side-band-64k", "shallow"]);
    let deep = Fetch { deepen: NonZeroU32::new(1), ..one() };
    let shallow = format!("shallow {}\n", id('b'));
    let lines = wire(&[shallow.as_bytes(), b"0000", b"NAK\n", b"\x01PACK", b"0000"]);
    assert_eq!(read(reader(&server, &deep), &lines, 7).unwrap(), [FetchEvent::Shallow(id('b')), pack(b"PACK")]);
}

#[test]
fn what_is_no_answer_is_an_error() {
    let read = |lines: &[&[u8]]| read(reader(&v2(), &one()), &wire(lines), 9);
    assert_eq!(read(&[b"ERR upload-pack: not our ref\n"]), Err(WireError::Said("upload-pack: not our ref".into())));
    assert_eq!(read(&[b"packfile\n", b"\x03out of memory\n"]), Err(WireError::Said("out of memory".into())));
    assert!(matches!(read(&[b"packfile\n", b"\x01PACK"]), Err(WireError::Ended { .. })), "no flush");
    assert!(matches!(read(&[]), Err(WireError::Ended { .. })));
    assert!(matches!(read(&[b"surprise\n"]), Err(WireError::Unexpected { .. })));
    assert!(matches!(read(&[b"packfile\n", b"\x07x"]), Err(WireError::Unexpected { .. })));
    assert!(matches!(read(&[b"packfile\n", b"0000", b"more"]), Err(WireError::Unexpected { .. })));
    let done_but_no_pack = read(&[b"acknowledgments\n", b"NAK\n", b"0000"]);
    assert!(matches!(done_but_no_pack, Err(WireError::Unexpected { .. })));
}

proptest! {
    #[test]
    fn where_the_pieces_break_does_not_matter(size in 1_usize..80, cut in any::<prop::sample::Index>()) {
        let lines = wire(&[b"packfile\n", b"\x02hello", b"\x01PACK", b"\x01", b"\x01more", b"0000"]);
        let read = |size| read(reader(&v2(), &one()), &lines, size);
        prop_assert_eq!(read(size), read(1000));
        let half = &lines[..cut.index(lines.len())];
        prop_assert!(super::tests::read(reader(&v2(), &one()), half, size).is_err());
    }

    #[test]
    fn nothing_makes_it_panic(
        lines in prop::collection::vec(prop_oneof![
            Just(b"0000".to_vec()), Just(b"0001".to_vec()), Just(b"packfile".to_vec()), Just(b"acknowledgments".to_vec()),
            Just(b"shallow-info".to_vec()), Just(b"wanted-refs".to_vec()), Just(b"ready".to_vec()),
            prop::collection::vec(any::<u8>(), 0..50),
        ], 0..8),
        version in prop_oneof![Just(v2()), Just(server(Version::V0, &["side-band-64k"])), Just(server(Version::V0, &[]))],
    ) {
        let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        let _whatever_it_is = read(reader(&version, &one()), &wire(&lines), 13);
    }
}
