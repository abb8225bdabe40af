//! What paths say by themselves: symlinks that lead out, names that only case tells apart.

/// Whether a symbolic link at `path` leads out of the tree.
///
/// What it leads to need not exist. An absolute target is out, whatever it names, and so is one that goes up once too often.
pub fn is_escaping(path: &str, target: &str) -> bool {
    if target.starts_with('/') || target.starts_with('\\') || has_drive(target) {
        return true;
    }
    let mut depth = path.matches('/').count();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return true,
            },
            _ => depth += 1,
        }
    }
    false
}

/// `C:` and the like, which lead out on Windows.
fn has_drive(target: &str) -> bool {
    let mut bytes = target.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic()) && bytes.next() == Some(b':')
}

/// The same text for names that a file system without case keeps in one place.
pub fn folded(name: &str) -> String {
    name.chars().flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_escapes_where_it_leads_above_the_root() {
        for (path, target, expected) in [
            ("a", "b", false),
            ("a", "..", true),
            ("a/b", "../c", false),
            ("a/b", "../../c", true),
            ("a/b/c", "../../d/../e", false),
            ("a/b", "./../x/../../y", true),
            ("a/b", "c/../../../a/b", true),
            ("a", "/etc/passwd", true),
            ("a", "C:\\Windows", true),
            ("a", "", false),
        ] {
            assert_eq!(is_escaping(path, target), expected, "{path} -> {target}");
        }
    }

    #[test]
    fn names_fold_by_letters_and_by_nothing_else() {
        assert_eq!(folded("README.md"), folded("readme.MD"));
        assert_eq!(folded("ÄRGER"), folded("ärger"));
        assert_ne!(folded("a-b"), folded("a_b"));
    }
}
