//! Who is spared: `bypass` names sessions as events do, IAM knows only whose role a session is of.

use signalbox_events::Arn;

use crate::ArnPattern;

/// Whom a statement leaves alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spared {
    /// A role of the stack, by its name in the template.
    StackRole(&'static str),
    /// Whoever has such an ARN as `aws:PrincipalArn`.
    Arn(String),
}

/// Whether a pattern of the policy names this user or role, as the statements of `signalbox iam` spare it: a pattern of sessions
/// names their role, with any path.
pub fn spares(pattern: &ArnPattern, principal: &Arn) -> bool {
    spared(pattern).0.into_iter().any(|one| match one {
        // The statements escape a dollar sign, which begins a variable there; here it is a letter.
        Spared::Arn(arn) => ArnPattern::parse(arn.replace("${$}", "$")).is_ok_and(|pattern| pattern.matches(principal)),
        Spared::StackRole(_) => false,
    })
}

/// A pattern of the policy in IAM's words, and what is wider about them.
pub(super) fn spared(pattern: &ArnPattern) -> (Vec<Spared>, Option<String>) {
    let text = pattern.as_str();
    let as_it_is = || (vec![Spared::Arn(literal(text))], None);
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [arn, partition, "sts", region, account, resource] = parts.as_slice() else { return as_it_is() };
    let Some(rest) = resource.strip_prefix("assumed-role/") else { return as_it_is() };
    let (role, session) = rest.split_once('/').unwrap_or((rest, "*"));
    let role = literal(role);
    let of = |name: &str| Spared::Arn(format!("{arn}:{partition}:iam:{region}:{account}:role/{name}"));
    // A role's ARN has its path, of which sessions say nothing.
    let roles = vec![of(&role), of(&format!("*/{role}"))];
    let wider = (session != "*").then(|| {
        format!("{text}: IAM spares every session of the role {role}, since it looks at roles; the protector looks at the session")
    });
    (roles, wider)
}

/// `$` would begin a policy variable.
fn literal(text: &str) -> String {
    text.replace('$', "${$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pattern: &str) -> (Vec<String>, bool) {
        let (spared, wider) = spared(&ArnPattern::parse(pattern).unwrap());
        let arns = spared.into_iter().map(|one| match one {
            Spared::Arn(arn) => arn,
            Spared::StackRole(id) => id.to_owned(),
        });
        (arns.collect(), wider.is_some())
    }

    #[test]
    fn a_session_becomes_its_role_with_any_path() {
        let role = |name: &str| format!("arn:aws:iam::111122223333:role/{name}");
        let both = vec![role("BreakGlass"), role("*/BreakGlass")];
        assert_eq!(shown("arn:aws:sts::111122223333:assumed-role/BreakGlass/*"), (both.clone(), false));
        assert_eq!(shown("arn:aws:sts::111122223333:assumed-role/BreakGlass/anna"), (both, true));
        let user = "arn:aws:iam::111122223333:user/developer";
        assert_eq!(shown(user), (vec![user.to_owned()], false));
        assert_eq!(shown("arn:aws:iam::1:user/${x}").0, ["arn:aws:iam::1:user/${$}{x}"]);
    }

    #[test]
    fn a_user_or_role_is_spared_by_its_own_name_and_by_that_of_its_sessions() {
        let is_spared = |pattern: &str, principal: &str| {
            spares(&ArnPattern::parse(pattern).unwrap(), &Arn::parse(principal).unwrap())
        };
        let sessions = "arn:aws:sts::111122223333:assumed-role/BreakGlass/*";
        assert!(is_spared(sessions, "arn:aws:iam::111122223333:role/BreakGlass"));
        assert!(is_spared(sessions, "arn:aws:iam::111122223333:role/teams/ops/BreakGlass"));
        assert!(is_spared("arn:aws:iam::*:user/anna", "arn:aws:iam::111122223333:user/anna"));
        for other in ["role/BreakGlass2", "role/BreakGlass/other", "user/BreakGlass"] {
            assert!(!is_spared(sessions, &format!("arn:aws:iam::111122223333:{other}")), "{other}");
        }
    }
}
