use proptest::prelude::*;

use super::*;
use crate::Capabilities;

fn id(digit: char) -> Oid {
    Oid::parse(&digit.to_string().repeat(40)).unwrap()
}

fn target(capabilities: &str) -> Advertisement {
    Advertisement { capabilities: Capabilities::parse_list(capabilities.as_bytes()), ..Advertisement::default() }
}

fn name(short: &str) -> RefName {
    RefName::parse(&format!("refs/heads/{short}")).unwrap()
}

fn commands() -> [Command; 3] {
    [
        Command { name: name("new"), change: Change::Create(id('a')) },
        Command { name: name("main"), change: Change::Update { old: id('a'), new: id('b') } },
        Command { name: name("old"), change: Change::Delete(id('c')) },
    ]
}

fn lines(lines: &[&str]) -> Vec<u8> {
    let mut wire = Vec::new();
    lines.iter().for_each(|line| pkt::write_line(&mut wire, format_args!("{line}")).unwrap());
    pkt::write_flush(&mut wire);
    wire
}

fn in_bands(report: &[u8], size: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    pkt::write(&mut wire, b"\x02hook says\x1b[31m hello\n").unwrap();
    for piece in report.chunks(size) {
        pkt::write(&mut wire, &[b"\x01", piece].concat()).unwrap();
    }
    pkt::write_flush(&mut wire);
    wire
}

fn read(capabilities: &str, wire: &[u8], size: usize) -> Result<Report, WireError> {
    let mut reader = request(&target(capabilities), &commands(), Together::Each, &[]).unwrap().report;
    wire.chunks(size).try_for_each(|piece| reader.feed(piece))?;
    reader.finish()
}

const PLAIN: &str = "report-status delete-refs";
const BANDED: &str = "report-status report-status-v2 delete-refs side-band-64k";

#[test]
fn commands_carry_what_was_seen_and_the_first_what_is_asked_for() {
    let offered = "report-status report-status-v2 delete-refs side-band-64k quiet atomic ofs-delta object-format=sha1 agent=git/2";
    let head = request(&target(offered), &commands(), Together::Atomic, &[id('d')]).unwrap().head;
    let mut decoder = Decoder::default();
    decoder.feed(&head);
    let mut said = Vec::new();
    while let Some(Pkt::Data(line)) = decoder.next_pkt().unwrap() {
        said.push(String::from_utf8(line.to_vec()).unwrap());
    }
    let (zero, a, b, c) = (Oid::ZERO, id('a'), id('b'), id('c'));
    let asked = "report-status-v2 delete-refs atomic side-band-64k ofs-delta quiet";
    let agent = crate::capability::AGENT;
    assert_eq!(
        said,
        [
            format!("shallow {}\n", id('d')),
            format!("{zero} {a} refs/heads/new\0 {asked} agent={agent} object-format=sha1"),
            format!("{a} {b} refs/heads/main"),
            format!("{c} {zero} refs/heads/old"),
        ]
    );
    assert!(decoder.is_empty());
}

#[test]
fn what_the_target_does_not_offer_is_not_asked_for_in_silence() {
    let refused = |offered, together| request(&target(offered), &commands(), together, &[]).unwrap_err();
    assert_eq!(refused("delete-refs", Together::Each), WireError::Missing("report-status"));
    assert_eq!(refused("report-status", Together::Each), WireError::Missing("delete-refs"));
    assert_eq!(refused(PLAIN, Together::Atomic), WireError::Missing("atomic"));
    assert_eq!(request(&target(PLAIN), &[], Together::Each, &[]).unwrap_err(), WireError::NothingAsked);
}

#[test]
fn deletions_alone_need_no_pack() {
    let [create, update, delete] = commands();
    assert!(!needs_pack(std::slice::from_ref(&delete)));
    assert!(needs_pack(&[create]) && needs_pack(&[delete, update]));
}

#[test]
fn a_report_tells_of_each_command() {
    let report = lines(&["unpack ok", "ng refs/heads/main hook declined", "ok refs/heads/new"]);
    let read = read(PLAIN, &report, 1000).unwrap();
    assert_eq!(read.unpack, Ok(()));
    let outcomes: Vec<&Outcome> = read.results.iter().map(|result| &result.outcome).collect();
    assert_eq!(outcomes, [&Outcome::Done, &Outcome::Refused("hook declined".into()), &Outcome::Unreported]);
    assert!(!read.is_done());
}

#[test]
fn a_report_in_bands_carries_options_and_the_words_of_hooks() {
    let report = lines(&[
        "unpack ok",
        "ok refs/heads/new",
        "option refname refs/heads/other",
        "ok refs/heads/main",
        "ok refs/heads/old",
    ]);
    let read = read(BANDED, &in_bands(&report, 30), 1000).unwrap();
    assert!(read.is_done());
    assert_eq!(read.results[0].options, ["refname refs/heads/other"]);
    assert_eq!(read.messages, "hook says[31m hello\n");
}

#[test]
fn a_pack_that_was_not_taken_has_its_reason() {
    let read = read(PLAIN, &lines(&["unpack index-pack failed", "ng refs/heads/main unpacker error"]), 10).unwrap();
    assert_eq!(read.unpack, Err("index-pack failed".into()));
    assert!(!read.is_done());
}

#[test]
fn what_is_no_report_is_an_error() {
    assert!(matches!(read(PLAIN, b"", 1), Err(WireError::Ended { .. })));
    assert!(matches!(read(PLAIN, b"0000", 1), Err(WireError::Ended { .. })));
    assert!(matches!(read(PLAIN, &lines(&["ok refs/heads/new"]), 9), Err(WireError::Unexpected { .. })));
    assert!(matches!(read(PLAIN, &lines(&["unpack ok", "ok refs/heads/else"]), 9), Err(WireError::Unexpected { .. })));
    assert!(matches!(read(PLAIN, &lines(&["unpack ok", "option x y"]), 9), Err(WireError::Unexpected { .. })));
    assert_eq!(read(PLAIN, &lines(&["ERR no"]), 9), Err(WireError::Said("no".into())));
    let mut fatal = Vec::new();
    pkt::write(&mut fatal, b"\x03disk full\n").unwrap();
    assert_eq!(read(BANDED, &fatal, 9), Err(WireError::Said("disk full".into())));
}

proptest! {
    #[test]
    fn where_the_pieces_break_does_not_matter(
        size in 1_usize..100, band in 1_usize..60, cut in any::<prop::sample::Index>(),
    ) {
        let report = lines(&["unpack ok", "ok refs/heads/new", "ng refs/heads/main no", "ok refs/heads/old"]);
        prop_assert_eq!(read(PLAIN, &report, size), read(PLAIN, &report, 1000));
        prop_assert!(read(PLAIN, &report[..cut.index(report.len())], size).is_err());
        let banded = in_bands(&report, band);
        prop_assert_eq!(read(BANDED, &banded, size), read(BANDED, &in_bands(&report, 1000), 1000));
    }

    #[test]
    fn nothing_makes_it_panic(
        said in prop::collection::vec("(unpack|ok|ng|option)?[ -~]{0,30}", 0..6), banded in any::<bool>(),
    ) {
        let said: Vec<&str> = said.iter().map(String::as_str).collect();
        let _whatever_it_is = read(if banded { BANDED } else { PLAIN }, &lines(&said), 5);
    }
}
