//! Commits that the real git signed with real keys, against policies. `signatures/make.sh` made them; nothing of it is needed here.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

use std::path::PathBuf;

use signalbox_events::{CommitId, PullRequestId};
use signalbox_gitwire::object::{Commit, Signed};
use signalbox_policy::{CommitRules, Signed as Wanted, SigningKey, parse_policy};
use signalbox_protector_rules::{CommitFacts, Finding, Keyring, Range, Signature, Worth, judge};

fn file(name: &str) -> Vec<u8> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/signatures")).join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn text(name: &str) -> String {
    String::from_utf8(file(name)).unwrap()
}

/// The rules of a policy that allows these keys: files, or `anybody`.
fn rules(keys: &[&str]) -> CommitRules {
    let signed = match keys {
        ["anybody"] => "anybody".to_owned(),
        keys => {
            let block = |name: &&str| {
                let content = if name.contains('.') { text(name) } else { (*name).to_owned() };
                let lines: String = content.lines().map(|line| format!("              {line}\n")).collect();
                format!("\n            - |\n{lines}")
            };
            keys.iter().map(block).collect()
        }
    };
    let policy = format!(
        "mode: enforce\nrepositories:\n  demo:\n    protection:\n      - refs: [main]\n        commits:\n          signed: {signed}\n"
    );
    let policy = parse_policy(&policy).unwrap_or_else(|problems| panic!("{policy}: {problems:?}"));
    policy.sections[0].protections[0].commits.clone().unwrap()
}

/// What the keys of these rules make of a commit.
fn signature(bytes: &[u8], rules: &CommitRules) -> Signature {
    let keys: &[SigningKey] = match rules.signed.as_ref().unwrap() {
        Wanted::By(keys) => keys,
        Wanted::Anybody => &[],
    };
    let signed = Signed::parse(bytes);
    Keyring::of(keys).check(&signed.signatures, &signed.content)
}

fn facts(bytes: &[u8], rules: &CommitRules) -> CommitFacts {
    let commit = Commit::parse(bytes);
    CommitFacts {
        id: CommitId::parse("b".repeat(40)).unwrap(),
        parents: Vec::new(),
        message: commit.message,
        author: commit.author,
        committer: commit.committer,
        signature: signature(bytes, rules),
    }
}

fn findings(commit: CommitFacts, rules: &CommitRules) -> Vec<String> {
    let range = Range { commits: vec![commit], ..Range::default() };
    judge(&range, Some(rules), None).iter().map(Finding::to_string).collect()
}

/// What is wrong with a commit where these keys are allowed; an empty text where nothing is.
fn fault(commit: &str, keys: &[&str]) -> String {
    let rules = rules(keys);
    findings(facts(&file(commit), &rules), &rules).join("\n")
}

const SSH: &[&str] = &["ssh-ed25519.pub", "ssh-ecdsa.pub", "ssh-rsa.pub"];

#[test]
fn what_an_allowed_key_signed_is_good() {
    for (commit, keys) in [
        ("ssh-ed25519.commit", SSH),
        ("ssh-ecdsa.commit", SSH),
        ("ssh-rsa.commit", SSH),
        ("pgp-rsa.commit", &["pgp-rsa.asc"]),
        ("pgp-rsa.commit", &["ssh-ed25519.pub", "pgp-subkey.asc", "pgp-rsa.asc"]),
        ("pgp-subkey.commit", &["pgp-subkey.asc"]),
        ("pgp-in-time.commit", &["pgp-expired.asc"]),
        ("pgp-before.commit", &["pgp-retired.asc"]),
        ("ssh-ed25519.commit", &["anybody"]),
        ("pgp-rsa.commit", &["anybody"]),
    ] {
        assert_eq!(fault(commit, keys), "", "{commit} {keys:?}");
    }
}

#[test]
fn each_thing_that_is_wrong_is_told_by_itself_with_how_to_mend_it() {
    for (commit, keys, expected, repair) in [
        ("none.commit", SSH, "it is not signed", "git commit --amend --no-edit -S"),
        ("none.commit", &["anybody"], "it is not signed", "commit.gpgSign"),
        ("ssh-rsa.commit", &["ssh-ed25519.pub"], "none of the allowed keys", "user.signingKey"),
        ("pgp-rsa.commit", &["pgp-subkey.asc"], "none of the allowed keys", "user.signingKey"),
        ("pgp-rsa.commit", SSH, "none of the allowed keys", "added to commits.signed"),
        ("ssh-namespace.commit", SSH, "was made for \"file\" and not for git", "namespace git"),
        ("ssh-namespace.commit", &["anybody"], "was made for \"file\" and not for git", "namespace git"),
        ("x509.commit", SSH, "a kind that is not checked: X.509", "gpg.format ssh"),
        ("x509.commit", &["anybody"], "a kind that is not checked: X.509", "gpg.format ssh"),
        ("pgp-expired.commit", &["pgp-expired.asc"], "was not valid at that time", "--quick-set-expire"),
        ("pgp-revoked.commit", &["pgp-revoked.asc"], "which was revoked", "another key"),
        ("pgp-retired.commit", &["pgp-retired.asc"], "which was revoked", "another key"),
        ("pgp-sha1.commit", &["pgp-sha1.asc"], "SHA1 digest", "digest-algo SHA256"),
    ] {
        let found = fault(commit, keys);
        assert!(found.starts_with("commits.signed: commit bbbbbbb: "), "{commit} {keys:?}: {found}");
        assert!(found.contains(expected) && found.contains(repair), "{commit} {keys:?}: {found}");
    }
}

#[test]
fn what_was_changed_after_it_was_signed_is_told() {
    for (commit, keys) in [
        ("ssh-ed25519.commit", SSH),
        ("ssh-ecdsa.commit", SSH),
        ("ssh-rsa.commit", SSH),
        ("pgp-rsa.commit", &["pgp-rsa.asc"]),
        ("pgp-subkey.commit", &["pgp-subkey.asc"]),
        ("ssh-ed25519.commit", &["anybody"]),
    ] {
        let rules = rules(keys);
        for (from, to) in
            [("feat: signed", "feat: signeD"), ("anna@example.com>", "anne@example.com>"), ("tree 0", "tree 1")]
        {
            let changed = text(commit).replacen(from, to, 1);
            assert_ne!(changed, text(commit), "{commit} {from}");
            let found = findings(facts(changed.as_bytes(), &rules), &rules).join("\n");
            assert!(
                found.contains("was not made over this commit") && found.contains("-S"),
                "{commit} {from}: {found}"
            );
        }
    }
}

#[test]
fn what_cannot_be_read_is_told_and_never_good() {
    let rules = rules(&["ssh-ed25519.pub", "pgp-rsa.asc"]);
    for commit in ["ssh-ed25519.commit", "pgp-rsa.commit"] {
        let whole = text(commit);
        let begin = whole.find("gpgsig").unwrap();
        let end = begin + whole[begin..].find("\n\n").unwrap();
        let step = if commit.starts_with("ssh") { 3 } else { 17 };
        for at in (begin + "gpgsig ".len()..end).step_by(step) {
            let mut bytes = whole.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let signature = signature(&bytes, &rules);
            // Some bits of base64's last letter, and of a head that nobody signs, mean nothing.
            let is_same = matches!(&signature, Signature::By { worth: Worth::Good, .. })
                && Signed::parse(&bytes).content == Signed::parse(whole.as_bytes()).content;
            let is_told = !matches!(&signature, Signature::By { worth: Worth::Good, .. } | Signature::NotRead);
            assert!(is_told || is_same, "{commit} at {at}: {signature:?}");
        }
        let twice = whole.replacen("gpgsig ", "gpgsig -----BEGIN SSH SIGNATURE-----\ngpgsig ", 1);
        let found = findings(facts(twice.as_bytes(), &rules), &rules).join("\n");
        assert!(found.contains("cannot be read: the commit has several"), "{found}");
    }
    for odd in ["gpgsig \n", "gpgsig -----BEGIN SSH SIGNATURE-----\n", "gpgsig -----BEGIN PGP SIGNATURE-----\n \n =\n"]
    {
        let commit = text("none.commit").replacen("\n\n", &format!("\n{odd}\n"), 1);
        let found = findings(facts(commit.as_bytes(), &rules), &rules).join("\n");
        assert!(found.starts_with("commits.signed: "), "{odd}: {found}");
    }
}

#[test]
fn a_key_speaks_for_the_committers_that_the_policy_says() {
    let with = |principals: &str| {
        let mut rules = rules(&["ssh-ecdsa.pub"]);
        let key = text("ssh-ed25519.pub").split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        let principals = principals.split(',').map(str::to_owned).collect();
        rules.signed = Some(Wanted::By(vec![SigningKey::Ssh { key, principals }]));
        rules
    };
    let allowed = with("bob@example.com,*@example.com");
    assert!(findings(facts(&file("ssh-ed25519.commit"), &allowed), &allowed).is_empty());
    let rules = with("bob@example.com");
    let found = findings(facts(&file("ssh-ed25519.commit"), &rules), &rules).join("\n");
    assert!(found.contains("does not speak for the committer \"anna@example.com\""), "{found}");
    assert!(found.contains("user.email"), "{found}");
}

#[test]
fn what_codecommit_made_for_a_pull_request_is_excused_and_what_nobody_looked_at_is_not() {
    let rules = rules(SSH);
    let mut commit = facts(&file("none.commit"), &rules);
    commit.signature = Signature::Merge(PullRequestId::parse("7").unwrap());
    assert!(findings(commit.clone(), &rules).is_empty());
    commit.signature = Signature::NotRead;
    assert!(findings(commit, &rules).join("").contains("was not looked at"));
}

#[test]
fn facts_of_signatures_can_be_written_down() {
    let rules = rules(SSH);
    for name in ["ssh-ed25519.commit", "ssh-namespace.commit", "x509.commit", "none.commit", "pgp-rsa.commit"] {
        let commit = facts(&file(name), &rules);
        let written = serde_json::to_string(&commit).unwrap();
        assert_eq!(serde_json::from_str::<CommitFacts>(&written).unwrap(), commit);
        assert!(written.len() < 600, "{name}: {written}");
    }
}
