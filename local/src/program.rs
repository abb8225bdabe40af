//! Where programs are.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// A program of this name on a search path; by its bare name where none is found, so that starting it tells so.
///
/// Started by a path it needs no copy of this process's memory tables: the standard library forks where it has to search a
/// PATH that was changed, and many processes a second make that dear.
pub(crate) fn find(name: &str, search_path: &OsStr) -> PathBuf {
    let is_program =
        |path: &Path| path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0);
    std::env::split_paths(search_path)
        .map(|folder| folder.join(name))
        // What is below a relative folder depends on where it is started.
        .find(|path| path.is_absolute() && is_program(path))
        .unwrap_or_else(|| PathBuf::from(name))
}

/// The search path of this process.
pub(crate) fn search_path() -> OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_program_of_the_name_is_found_and_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        for (name, mode) in [("a", 0o644), ("b", 0o755), ("c", 0o755)] {
            std::fs::create_dir_all(place(name).join("folder")).unwrap();
            std::fs::write(place(name).join("tool"), "").unwrap();
            std::fs::set_permissions(place(name).join("tool"), std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let path = std::env::join_paths([place("missing"), place("a"), place("b"), place("c")]).unwrap();
        assert_eq!(find("tool", &path), place("b").join("tool"));
        assert_eq!(find("folder", &path), Path::new("folder"));
        assert_eq!(find("tool", OsStr::new(".")), Path::new("tool"));
    }
}
