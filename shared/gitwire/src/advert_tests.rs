use proptest::prelude::*;

use super::*;
use crate::{Head, RefName};

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// Lines in, `0000` for a flush.
fn wire(lines: &[&str]) -> Vec<u8> {
    let mut wire = Vec::new();
    for line in lines {
        match *line {
            "0000" => pkt::write_flush(&mut wire),
            "0001" => pkt::write_delimiter(&mut wire),
            line => pkt::write(&mut wire, line.as_bytes()).unwrap(),
        }
    }
    wire
}

fn read(wire: &[u8], size: usize) -> Result<Advertisement, WireError> {
    let mut reader = AdvertisementReader::default();
    wire.chunks(size).try_for_each(|piece| reader.feed(piece))?;
    reader.finish()
}

fn lines(lines: &[&str]) -> Result<Advertisement, WireError> {
    read(&wire(lines), 64)
}

fn upload_pack() -> Vec<u8> {
    wire(&[
        "# service=git-upload-pack\n",
        "0000",
        &format!("{A} HEAD\0multi_ack symref=HEAD:refs/heads/main object-format=sha1 agent=git/2\n"),
        &format!("{A} refs/heads/main\n"),
        &format!("{B} refs/tags/v1\n"),
        &format!("{A} refs/tags/v1^{{}}\n"),
        &format!("{A} refs/heads/a..b\n"),
        &format!("shallow {B}\n"),
        "0000",
    ])
}

#[test]
fn version_0_tells_refs_capabilities_peeled_tags_and_where_history_ends() {
    let said = read(&upload_pack(), 1000).unwrap();
    assert_eq!(said.version, Version::V0);
    assert!(said.capabilities.has("multi_ack"));
    let (a, b) = (Oid::parse(A).unwrap(), Oid::parse(B).unwrap());
    let main = RefName::parse("refs/heads/main").unwrap();
    assert_eq!(said.listing.head, Head::Branch(main.clone()));
    assert_eq!(said.listing.refs[0], crate::Ref { name: main, id: a, peeled: None });
    let tag = &said.listing.refs[1];
    assert_eq!((tag.name.as_str(), tag.id, tag.peeled), ("refs/tags/v1", b, Some(a)));
    assert_eq!(said.listing.unusable, ["refs/heads/a..b"]);
    assert_eq!(said.shallow, [b]);
}

#[test]
fn version_1_says_its_number_first() {
    let first = format!("{A} HEAD\0agent=x\n");
    let said = lines(&["# service=git-upload-pack\n", "0000", "version 1\n", &first, "0000"]).unwrap();
    assert_eq!((said.version, said.listing.head), (Version::V1, Head::Detached(Oid::parse(A).unwrap())));
}

#[test]
fn version_2_tells_capabilities_only_and_may_leave_the_service_out() {
    let rest = ["version 2\n", "ls-refs=unborn\n", "fetch=shallow filter\n", "object-format=sha1\n", "0000"];
    for start in [&["# service=git-upload-pack\n", "0000"][..], &[]] {
        let said = lines(&[start, &rest].concat()).unwrap();
        assert_eq!(said.version, Version::V2);
        assert!(said.capabilities.has_feature("fetch", "filter"));
    }
}

#[test]
fn an_empty_repository_has_capabilities_or_nothing_at_all() {
    let zero = Oid::ZERO;
    let service = "# service=git-receive-pack\n";
    let said = lines(&[service, "0000", &format!("{zero} capabilities^{{}}\0report-status\n"), "0000"]).unwrap();
    assert!(said.listing.refs.is_empty() && said.capabilities.has("report-status"));
    assert!(lines(&[service, "0000", "0000"]).unwrap().listing.refs.is_empty());
}

#[test]
fn a_target_tells_what_it_borrows() {
    let said =
        lines(&[&format!("{A} .have\0report-status no-thin\n"), &format!("{B} refs/heads/x\n"), "0000"]).unwrap();
    assert_eq!(said.haves, [Oid::parse(A).unwrap()]);
    assert!(!said.pack_form().thin && !said.pack_form().ofs_delta);
}

#[test]
fn what_cannot_be_served_is_an_error_that_says_why() {
    let sha256 = "a".repeat(64);
    let format = WireError::ObjectFormat("sha256".into());
    assert_eq!(lines(&["version 2\n", "object-format=sha256\n", "0000"]), Err(format.clone()));
    assert_eq!(lines(&[&format!("{sha256} HEAD\0object-format=sha256\n"), "0000"]), Err(format.clone()));
    assert_eq!(lines(&[&format!("{sha256} HEAD\0agent=x\n"), "0000"]), Err(format));
    assert_eq!(lines(&["ERR access denied\n"]), Err(WireError::Said("access denied".into())));
    assert!(matches!(lines(&["version 3\n"]), Err(WireError::Unexpected { .. })));
    assert!(matches!(lines(&["hello\n"]), Err(WireError::Unexpected { .. })));
    assert!(matches!(lines(&["version 2\n", "0001"]), Err(WireError::Unexpected { .. })));
    assert!(matches!(lines(&["version 2\n", "0000", "more\n"]), Err(WireError::Unexpected { .. })));
    assert!(matches!(lines(&["version 2\n"]), Err(WireError::Ended { .. })));
    assert!(matches!(lines(&[]), Err(WireError::Ended { .. })));
}

proptest! {
    #[test]
    fn where_the_pieces_break_does_not_matter(size in 1_usize..200) {
        prop_assert_eq!(read(&upload_pack(), size), read(&upload_pack(), 1000));
    }

    #[test]
    fn half_of_it_is_never_taken_for_the_whole(cut in any::<prop::sample::Index>()) {
        let whole = upload_pack();
        prop_assert!(read(&whole[..cut.index(whole.len())], 50).is_err());
    }

    #[test]
    fn nothing_makes_it_panic(
        payloads in prop::collection::vec(prop_oneof![
            Just("0000".to_owned()), Just("version 2".to_owned()), Just("# service=x".to_owned()),
            Just(format!("{A} HEAD\0symref=HEAD:x object-format=")), Just(format!("{A} refs/x^{{}}")),
            Just("shallow ".to_owned()), "[ -~\0]{0,60}",
        ], 0..8),
        size in 1_usize..80,
    ) {
        let payloads: Vec<&str> = payloads.iter().map(String::as_str).collect();
        let _whatever_it_is = read(&wire(&payloads), size);
    }
}
