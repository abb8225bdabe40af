//! Ref names, with git as the judge.

use proptest::prelude::*;
use signalbox_gitwire::RefName;

use crate::repository::git;

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_name_is_good_exactly_when_git_says_so(rest in r"([a-b@.{/~^:?*\[\\ \x7f-]|\.lock|ä|//|\.\.|@\{){0,8}") {
        let name = format!("refs/{rest}");
        let git = git(std::path::Path::new("/")).args(["check-ref-format", &name]).status().unwrap();
        prop_assert_eq!(RefName::parse(&name).is_ok(), git.success(), "{:?}", name);
    }
}
