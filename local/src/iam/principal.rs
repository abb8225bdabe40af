//! Who asks, and whom a statement names.

use serde_json::Value;

use super::document::{Effect, Malformed, texts};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The ARN of a user or of a role's session; the name of a service.
    pub(super) arn: String,
    pub(super) account: String,
    pub(super) who: Who,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    User { name: String },
    Session { role: String, role_arn: String },
    Service,
    Root,
}

impl Principal {
    /// An AWS service, such as `events.amazonaws.com`.
    pub(super) fn service(name: &str) -> Self {
        Self { arn: name.to_owned(), account: String::new(), who: Who::Service }
    }

    /// The user, the session or the root that an ARN names; `role_arn` gives the ARN of a role by its name, which may
    /// have a path that sessions do not show.
    pub(super) fn of(arn: &str, role_arn: impl FnOnce(&str) -> Option<String>) -> Option<Self> {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let ["arn", _, service, _, account, resource] = parts.as_slice() else { return None };
        let who = match (*service, resource.split_once('/')) {
            ("iam", Some(("user", path))) => Who::User { name: path.rsplit('/').next()?.to_owned() },
            ("iam", None) if *resource == "root" => Who::Root,
            ("sts", Some(("assumed-role", rest))) => {
                let (role, _session) = rest.split_once('/')?;
                let arn = role_arn(role).unwrap_or_else(|| format!("arn:aws:iam::{account}:role/{role}"));
                Who::Session { role: role.to_owned(), role_arn: arn }
            }
            _ => return None,
        };
        Some(Self { arn: arn.to_owned(), account: (*account).to_owned(), who })
    }

    /// `aws:PrincipalArn`: for a session the ARN of its role.
    pub(super) fn principal_arn(&self) -> Option<&str> {
        match &self.who {
            Who::Session { role_arn, .. } => Some(role_arn),
            Who::User { .. } | Who::Root => Some(&self.arn),
            Who::Service => None,
        }
    }

    /// `aws:PrincipalType`
    pub(super) fn kind(&self) -> &'static str {
        match self.who {
            Who::User { .. } => "User",
            Who::Session { .. } => "AssumedRole",
            Who::Service => "Service",
            Who::Root => "Account",
        }
    }
}

/// How a statement came to name a principal.
///
/// Ordered from what grants most: of several statements the first of these counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NamedAs {
    /// Itself or everybody: the statement alone is enough.
    Itself,
    /// Its role: the statement is enough within the role's permissions boundary.
    Role,
    /// Its account: the account's own policies must agree.
    Account,
}

/// `Principal` or `NotPrincipal`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Principals {
    all_but: bool,
    list: Vec<OnePrincipal>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum OnePrincipal {
    Everybody,
    Account(String),
    Arn(String),
    Service(String),
    /// An identity provider; nobody comes from one here.
    Federated,
}

impl Principals {
    pub(super) fn parse(value: &Value, all_but: bool, place: &str) -> Result<Self, Malformed> {
        let list = match value {
            Value::String(text) if text == "*" => vec![OnePrincipal::Everybody],
            Value::Object(kinds) if !kinds.is_empty() => {
                let mut list = Vec::new();
                for (kind, names) in kinds {
                    let place = format!("{place}.{kind}");
                    for name in texts(names, &place)? {
                        let one = OnePrincipal::parse(kind, &name).ok_or_else(|| {
                            Malformed::at(&place, format!("Invalid principal in policy: \"{kind}\":\"{name}\""))
                        })?;
                        list.push(one);
                    }
                }
                list
            }
            _ => {
                let what = "Invalid principal in policy: it must be \"*\" or an object with AWS, Service or Federated";
                return Err(Malformed::at(place, what));
            }
        };
        Ok(Self { all_but, list })
    }

    /// How a principal is named, if it is.
    pub(super) fn names(&self, principal: &Principal, effect: Effect) -> Option<NamedAs> {
        let named = || self.list.iter().filter_map(|one| one.names(principal));
        if self.all_but {
            return named().next().is_none().then_some(NamedAs::Itself);
        }
        let best = named().min()?;
        // A Deny needs no agreement.
        Some(if effect == Effect::Deny { NamedAs::Itself } else { best })
    }
}

impl OnePrincipal {
    fn parse(kind: &str, name: &str) -> Option<Self> {
        let is_account = |text: &str| text.len() == 12 && text.chars().all(|c| c.is_ascii_digit());
        match kind {
            "AWS" if name == "*" => Some(Self::Everybody),
            "AWS" if is_account(name) => Some(Self::Account(name.to_owned())),
            "AWS" => {
                let parts: Vec<&str> = name.splitn(6, ':').collect();
                let ["arn", _, service, "", account, resource] = parts.as_slice() else { return None };
                if !is_account(account) || name.contains(['*', '?']) {
                    return None;
                }
                match (*service, resource.split_once('/')) {
                    ("iam", None) if *resource == "root" => Some(Self::Account((*account).to_owned())),
                    ("iam", Some(("user" | "role", rest))) | ("sts", Some(("assumed-role", rest)))
                        if !rest.is_empty() =>
                    {
                        Some(Self::Arn(name.to_owned()))
                    }
                    _ => None,
                }
            }
            "Service" => name
                .strip_suffix(".amazonaws.com")
                .is_some_and(|service| {
                    !service.is_empty()
                        && service
                            .chars()
                            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.'))
                })
                .then(|| Self::Service(name.to_owned())),
            "Federated" | "CanonicalUser" if !name.is_empty() => Some(Self::Federated),
            _ => None,
        }
    }

    fn names(&self, principal: &Principal) -> Option<NamedAs> {
        match self {
            Self::Everybody => Some(NamedAs::Itself),
            Self::Account(account) => (principal.account == *account).then_some(match principal.who {
                Who::Root => NamedAs::Itself,
                _ => NamedAs::Account,
            }),
            Self::Arn(arn) => {
                if principal.arn == *arn {
                    return Some(NamedAs::Itself);
                }
                (principal.principal_arn() == Some(arn)).then_some(NamedAs::Role)
            }
            Self::Service(name) => (principal.who == Who::Service && principal.arn == *name).then_some(NamedAs::Itself),
            Self::Federated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ACCOUNT: &str = "111122223333";

    fn session() -> Principal {
        let path = |role: &str| Some(format!("arn:aws:iam::{ACCOUNT}:role/jobs/{role}"));
        Principal::of("arn:aws:sts::111122223333:assumed-role/trigger/run", path).unwrap()
    }

    fn names(value: &Value, principal: &Principal) -> Option<NamedAs> {
        Principals::parse(value, false, "Principal").unwrap().names(principal, Effect::Allow)
    }

    #[test]
    fn a_session_is_named_by_itself_its_role_its_account_or_everybody() {
        let session = session();
        for itself in [
            json!("*"),
            json!({ "AWS": "*" }),
            json!({ "AWS": ["arn:aws:iam::111122223333:role/jobs/trigger", "arn:aws:sts::111122223333:assumed-role/trigger/run"] }),
        ] {
            assert_eq!(names(&itself, &session), Some(NamedAs::Itself), "{itself}");
        }
        let role = json!({ "AWS": ["arn:aws:iam::111122223333:root", "arn:aws:iam::111122223333:role/jobs/trigger"] });
        assert_eq!(names(&role, &session), Some(NamedAs::Role));
        for account in [json!({ "AWS": ACCOUNT }), json!({ "AWS": "arn:aws:iam::111122223333:root" })] {
            assert_eq!(names(&account, &session), Some(NamedAs::Account), "{account}");
        }
        for nobody in [
            json!({ "Service": "lambda.amazonaws.com" }),
            json!({ "AWS": "arn:aws:sts::111122223333:assumed-role/trigger/other" }),
            json!({ "AWS": "999999999999" }),
            json!({ "Federated": "cognito-identity.amazonaws.com" }),
        ] {
            assert_eq!(names(&nobody, &session), None, "{nobody}");
        }
    }

    #[test]
    fn a_service_is_named_by_its_name_and_not_principal_names_all_others() {
        let lambda = Principal::service("lambda.amazonaws.com");
        assert_eq!(
            names(&json!({ "Service": ["x.amazonaws.com", "lambda.amazonaws.com"] }), &lambda),
            Some(NamedAs::Itself)
        );
        assert_eq!(names(&json!({ "AWS": ACCOUNT }), &lambda), None);
        let others = Principals::parse(&json!({ "AWS": ACCOUNT }), true, "NotPrincipal").unwrap();
        assert_eq!(others.names(&session(), Effect::Deny), None);
        assert_eq!(others.names(&lambda, Effect::Deny), Some(NamedAs::Itself));
    }

    #[test]
    fn a_principal_that_is_none_is_refused() {
        for wrong in [
            json!("developer"),
            json!({}),
            json!({ "AWS": "arn:aws:iam::111122223333:role/*" }),
            json!({ "AWS": "arn:aws:iam::1:root" }),
            json!({ "AWS": "developer" }),
            json!({ "Service": "lambda" }),
            json!({ "User": "x" }),
        ] {
            let refused = Principals::parse(&wrong, false, "Statement[0].Principal").unwrap_err().to_string();
            assert!(refused.contains("Invalid principal in policy"), "{refused}");
        }
    }
}
