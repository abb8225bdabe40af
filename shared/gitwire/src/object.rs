//! What is in git's objects: commits and trees.

use crate::Oid;

/// A commit, as it lies in a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    /// Its tree.
    pub tree: Option<Oid>,
    /// Its parents, first parent first.
    pub parents: Vec<Oid>,
    /// The author's e-mail address.
    pub author: String,
    /// The committer's e-mail address.
    pub committer: String,
    /// The whole message.
    pub message: String,
}

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry<'a> {
    /// What it is, and who may run it.
    pub mode: Mode,
    /// Its name, which is bytes to git.
    pub name: &'a [u8],
    /// The object; of another repository where it is a submodule.
    pub id: Oid,
}

/// What an entry of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A folder.
    Tree,
    /// A file.
    File,
    /// A symbolic link.
    Symlink,
    /// A submodule.
    Submodule,
}

impl Commit {
    /// Reads a commit. What it lacks is empty: git itself takes odd ones.
    pub fn parse(bytes: &[u8]) -> Self {
        let mut commit = Self::default();
        let mut rest = bytes;
        loop {
            let (line, behind) = match rest.iter().position(|byte| *byte == b'\n') {
                Some(end) => (rest.get(..end).unwrap_or_default(), rest.get(end + 1..).unwrap_or_default()),
                None => (rest, &[][..]),
            };
            rest = behind;
            if line.is_empty() {
                commit.message = String::from_utf8_lossy(rest).into_owned();
                return commit;
            }
            let (key, value) = match line.iter().position(|byte| *byte == b' ') {
                Some(space) => (line.get(..space).unwrap_or_default(), line.get(space + 1..).unwrap_or_default()),
                None => (line, &[][..]),
            };
            match key {
                b"tree" => commit.tree = Oid::parse_bytes(value).ok(),
                b"parent" => commit.parents.extend(Oid::parse_bytes(value)),
                b"author" => commit.author = email(value),
                b"committer" => commit.committer = email(value),
                _ => {}
            }
        }
    }
}

/// A commit apart from its signature.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signed {
    /// Each signature in its head, as text; more than one is odd, none is the rule.
    pub signatures: Vec<String>,
    /// What was signed: the commit without them.
    pub content: Vec<u8>,
}

impl Signed {
    /// Takes a commit apart, as git does before it asks whether a signature is good (`parse_buffer_signed_by_header`): each field whose name
    /// begins with `gpgsig` is left out of what was signed, and `gpgsig` itself is the signature over the SHA-1 form.
    pub fn parse(bytes: &[u8]) -> Self {
        let mut signed = Self { signatures: Vec::new(), content: Vec::with_capacity(bytes.len()) };
        let mut field = Field::Other;
        let mut rest = bytes;
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
            let (line, behind) = rest.split_at(end);
            if line == b"\n" {
                // The message follows, whatever is in it.
                signed.content.extend_from_slice(rest);
                break;
            }
            let part = match line.strip_prefix(b" ") {
                Some(more) => more,
                None => {
                    let value = line.strip_prefix(b"gpgsig ");
                    field = match value {
                        Some(_) => Field::Signature,
                        None if line.starts_with(b"gpgsig") => Field::OtherSignature,
                        None => Field::Other,
                    };
                    if field == Field::Signature {
                        signed.signatures.push(String::new());
                    }
                    value.unwrap_or(line)
                }
            };
            match (field, signed.signatures.last_mut()) {
                (Field::Signature, Some(text)) => text.push_str(&String::from_utf8_lossy(part)),
                (Field::Signature | Field::OtherSignature, _) => {}
                (Field::Other, _) => signed.content.extend_from_slice(line),
            }
            rest = behind;
        }
        signed
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Signature,
    OtherSignature,
    Other,
}

/// The address between the last `<` and the `>` behind it.
fn email(person: &[u8]) -> String {
    let Some(begin) = person.iter().rposition(|byte| *byte == b'<') else { return String::new() };
    let behind = person.get(begin + 1..).unwrap_or_default();
    let end = behind.iter().position(|byte| *byte == b'>').unwrap_or(behind.len());
    String::from_utf8_lossy(behind.get(..end).unwrap_or_default()).into_owned()
}

/// The entries of a tree, in its order; it ends where what follows is none.
pub fn tree_entries(mut bytes: &[u8]) -> Vec<TreeEntry<'_>> {
    let mut entries = Vec::new();
    while let Some((entry, rest)) = entry(bytes) {
        entries.push(entry);
        bytes = rest;
    }
    entries
}

fn entry(bytes: &[u8]) -> Option<(TreeEntry<'_>, &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let (mode, rest) = (bytes.get(..space)?, bytes.get(space + 1..)?);
    let end = rest.iter().position(|byte| *byte == 0)?;
    let (name, rest) = (rest.get(..end)?, rest.get(end + 1..)?);
    let id: [u8; 20] = rest.get(..20)?.try_into().ok()?;
    let mode = match mode {
        b"40000" | b"040000" => Mode::Tree,
        b"120000" => Mode::Symlink,
        b"160000" => Mode::Submodule,
        _ => Mode::File,
    };
    Some((TreeEntry { mode, name, id: Oid::from(id) }, rest.get(20..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_with_a_signature_keeps_its_message_to_itself() {
        let id = "1".repeat(40);
        let text = format!(
            "tree {id}\nparent {id}\nparent {id}\nauthor A <a> Dev <a@example.com> 1 +0000\ncommitter C <c@example.com> 1 +0000\n\
             gpgsig -----BEGIN SSH SIGNATURE-----\n abc\n -----END SSH SIGNATURE-----\n\nfeat: one\n\nparent of all\n"
        );
        let commit = Commit::parse(text.as_bytes());
        assert_eq!(
            (commit.parents.len(), commit.author.as_str(), commit.committer.as_str()),
            (2, "a@example.com", "c@example.com")
        );
        assert_eq!(commit.message, "feat: one\n\nparent of all\n");
    }

    #[test]
    fn what_was_signed_is_the_commit_without_its_signature() {
        let head = "tree 1\nauthor A <a@example.com> 1 +0000\ncommitter C <c@example.com> 1 +0000\n";
        let tail = "encoding UTF-8\n\nfeat: one\n\ngpgsig not this\n";
        let text = format!("{head}gpgsig -----BEGIN\n abc\n \n -----END\ngpgsig-sha256 other\n more\n{tail}");
        let signed = Signed::parse(text.as_bytes());
        assert_eq!(signed.signatures, ["-----BEGIN\nabc\n\n-----END\n"]);
        assert_eq!(String::from_utf8(signed.content).unwrap(), format!("{head}{tail}"));
        let plain = format!("{head}{tail}");
        let signed = Signed::parse(plain.as_bytes());
        assert_eq!((signed.signatures.len(), signed.content.as_slice()), (0, plain.as_bytes()));
        assert_eq!(Signed::parse(format!("{head}gpgsig a\ngpgsig b\n{tail}").as_bytes()).signatures, ["a\n", "b\n"]);
    }

    #[test]
    fn whatever_the_bytes_are_they_are_read() {
        for bytes in [&b""[..], b"\n", b"tree", b"parent x\n", b"author <", b"40000 a", b"100644 a\0short"] {
            Commit::parse(bytes);
            Signed::parse(bytes);
            assert!(tree_entries(bytes).is_empty());
        }
    }
}
