use proptest::prelude::*;

use super::*;
use crate::AdvertisementReader;

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn server(capabilities: &[&str]) -> Advertisement {
    let mut wire = Vec::new();
    for line in [&["version 2"], capabilities].concat() {
        pkt::write_line(&mut wire, format_args!("{line}")).unwrap();
    }
    pkt::write_flush(&mut wire);
    let mut reader = AdvertisementReader::default();
    reader.feed(&wire).unwrap();
    reader.finish().unwrap()
}

fn answer(lines: &[&str]) -> Vec<u8> {
    let mut wire = Vec::new();
    lines.iter().for_each(|line| pkt::write_line(&mut wire, format_args!("{line}")).unwrap());
    pkt::write_flush(&mut wire);
    wire
}

fn read(wire: &[u8], size: usize) -> Result<Listing, WireError> {
    let mut reader = LsRefsReader::default();
    wire.chunks(size).try_for_each(|piece| reader.feed(piece))?;
    reader.finish()
}

fn whole() -> Vec<u8> {
    answer(&[
        &format!("{A} HEAD symref-target:refs/heads/main"),
        &format!("{A} refs/heads/main"),
        &format!("{A} refs/remotes/origin/HEAD symref-target:refs/heads/x"),
        &format!("{B} refs/tags/v1 peeled:{A}"),
    ])
}

#[test]
fn the_request_asks_for_prefixes_and_head() {
    let request = ls_refs(&server(&["ls-refs=unborn", "agent=git/2"]), &["refs/heads/", "refs/tags/"]).unwrap();
    let agent = crate::capability::AGENT;
    let expected = format!(
        "0014command=ls-refs\n{:04x}agent={agent}\n00010009peel\n000csymrefs\n000bunborn\n\
         001bref-prefix refs/heads/\n001aref-prefix refs/tags/\n0014ref-prefix HEAD\n0000",
        agent.len() + 11
    );
    assert_eq!(String::from_utf8(request).unwrap(), expected);
    let all = String::from_utf8(ls_refs(&server(&["ls-refs"]), &[]).unwrap()).unwrap();
    assert!(!all.contains("ref-prefix") && !all.contains("unborn") && !all.contains("agent"), "{all}");
}

#[test]
fn it_is_asked_only_of_who_offers_it() {
    assert_eq!(ls_refs(&Advertisement::default(), &[]), Err(WireError::Missing("protocol version 2")));
    assert_eq!(ls_refs(&server(&["fetch"]), &[]), Err(WireError::Missing("ls-refs")));
}

#[test]
fn the_answer_gives_refs_peeled_tags_and_the_default_branch() {
    let listing = read(&whole(), 1000).unwrap();
    assert_eq!(listing.head, Head::Branch(RefName::parse("refs/heads/main").unwrap()));
    assert_eq!(listing.refs.len(), 3, "HEAD is not among them");
    assert_eq!(listing.refs[2].peeled, Some(Oid::parse(A).unwrap()));
    let tags = listing.below(&["refs/tags/"]);
    assert_eq!(tags.refs.len(), 1);
}

#[test]
fn a_default_branch_need_not_exist() {
    let listing = read(&answer(&["unborn HEAD symref-target:refs/heads/main"]), 9).unwrap();
    assert_eq!(listing.head, Head::Branch(RefName::parse("refs/heads/main").unwrap()));
    assert!(listing.refs.is_empty());
    assert_eq!(read(&answer(&[&format!("{A} HEAD")]), 9).unwrap().head, Head::Detached(Oid::parse(A).unwrap()));
}

#[test]
fn a_name_that_git_refuses_is_set_apart_and_takes_no_tag_with_it() {
    let listing = read(&answer(&[&format!("{A} refs/tags/ok"), &format!("{A} refs/tags/a? peeled:{B}")]), 99).unwrap();
    assert_eq!((listing.unusable, listing.refs[0].peeled), (vec!["refs/tags/a?".to_owned()], None));
}

#[test]
fn what_is_no_answer_is_an_error() {
    assert_eq!(read(&answer(&["ERR gone"]), 9), Err(WireError::Said("gone".into())));
    assert!(matches!(read(&answer(&["hello"]), 9), Err(WireError::Unexpected { .. })));
    let sha256 = format!("{} refs/heads/x", "a".repeat(64));
    assert_eq!(read(&answer(&[&sha256]), 9), Err(WireError::ObjectFormat("sha256".into())));
    assert!(matches!(read(&[answer(&[]), answer(&[])].concat(), 9), Err(WireError::Unexpected { .. })));
    assert!(read(&[answer(&[]), b"0002".to_vec()].concat(), 9).is_ok(), "the end of a stateless answer");
}

proptest! {
    #[test]
    fn where_the_pieces_break_does_not_matter(size in 1_usize..100, cut in any::<prop::sample::Index>()) {
        let whole = whole();
        prop_assert_eq!(read(&whole, size), read(&whole, 1000));
        prop_assert!(read(&whole[..cut.index(whole.len())], size).is_err());
    }

    #[test]
    fn nothing_makes_it_panic(lines in prop::collection::vec("(unborn |[0-9a-f]{40} )?[ -~]{0,40}", 0..5)) {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let _whatever_it_is = read(&answer(&lines), 7);
    }
}
