//! STS: who am I, and a role's session.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::auth::{Caller, Keys};
use crate::error::{Answer, ServiceError};
use crate::http::Parameters;
use crate::iam::Context;
use crate::world::World;

/// The operations that are offered here.
pub const OPERATIONS: &[&str] = &["AssumeRole", "GetCallerIdentity"];

/// A session's length unless told otherwise, in seconds.
const USUAL_SESSION: i64 = 3600;

/// What `AssumeRole` knows and the local cloud does not honour: refused, because ignoring it would widen the session.
const UNSUPPORTED: [&str; 8] = [
    "Policy",
    "PolicyArns.member.1.arn",
    "ProvidedContexts.member.1.ProviderArn",
    "SerialNumber",
    "SourceIdentity",
    "Tags.member.1.Key",
    "TokenCode",
    "TransitiveTagKeys.member.1",
];

/// The service's state.
#[derive(Debug)]
pub struct Sts {
    world: Arc<World>,
    keys: Arc<Keys>,
}

/// What `AssumeRole` is asked.
#[derive(Debug, Clone, Copy, Default)]
struct AssumeRole<'a> {
    role_arn: Option<&'a str>,
    session_name: Option<&'a str>,
    duration: Option<&'a str>,
    external_id: Option<&'a str>,
}

impl Sts {
    /// A token service over the keys of this world.
    pub fn new(world: &Arc<World>, keys: &Arc<Keys>) -> Self {
        Self { world: Arc::clone(world), keys: Arc::clone(keys) }
    }

    pub(crate) async fn call(&self, action: &str, parameters: &Parameters, caller: &Caller) -> Answer<String> {
        match action {
            "GetCallerIdentity" => {
                known(parameters, &[])?;
                Ok(self.caller_identity(caller))
            }
            "AssumeRole" => {
                if let Some(name) = UNSUPPORTED.iter().find(|name| parameters.get(name).is_some()) {
                    return Err(invalid(format!("the local cloud does not support AssumeRole with {name}")));
                }
                known(parameters, &["RoleArn", "RoleSessionName", "DurationSeconds", "ExternalId"])?;
                let asked = AssumeRole {
                    role_arn: parameters.get("RoleArn"),
                    session_name: parameters.get("RoleSessionName"),
                    duration: parameters.get("DurationSeconds"),
                    external_id: parameters.get("ExternalId"),
                };
                self.assume_role(asked, caller, self.world.now())
            }
            unknown => Err(ServiceError::unknown_operation("sts", unknown)),
        }
    }

    fn caller_identity(&self, caller: &Caller) -> String {
        format!(
            "<Arn>{}</Arn><UserId>{}</UserId><Account>{}</Account>",
            escape(&caller.arn),
            escape(&principal_id(&caller.arn)),
            self.world.account
        )
    }

    /// Hands out a session's keys, if the role trusts the caller.
    fn assume_role(&self, asked: AssumeRole<'_>, caller: &Caller, now: Timestamp) -> Answer<String> {
        let role_arn = asked.role_arn.ok_or_else(|| missing("roleArn"))?;
        let session = asked.session_name.ok_or_else(|| missing("roleSessionName"))?;
        let is_arn_text = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{ff}');
        if !(20..=2048).contains(&role_arn.chars().count()) || !role_arn.chars().all(is_arn_text) {
            let shown: String = role_arn.chars().take(100).collect();
            return Err(invalid(format!(
                "1 validation error detected: Value '{shown}' at 'roleArn' failed to satisfy constraint: Member must have a length of 20 to 2048 and be printable"
            )));
        }
        let good_session = (2..=64).contains(&session.len()) && session.chars().all(is_word_character);
        if !good_session {
            return Err(invalid(format!(
                "1 validation error detected: Value '{session}' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]* and have a length of 2 to 64"
            )));
        }
        if let Some(id) = asked.external_id {
            let good =
                (2..=1224).contains(&id.len()) && id.chars().all(|c| is_word_character(c) || matches!(c, ':' | '/'));
            if !good {
                return Err(invalid(format!(
                    "1 validation error detected: Value '{id}' at 'externalId' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@:\\/-]* and have a length of 2 to 1224"
                )));
            }
        }
        let seconds = match asked.duration {
            None => USUAL_SESSION,
            Some(text) => text.parse().ok().filter(|seconds| (900..=43_200).contains(seconds)).ok_or_else(|| {
                invalid(format!(
                    "1 validation error detected: Value '{text}' at 'durationSeconds' failed to satisfy constraint: Member must have a value from 900 to 43200"
                ))
            })?,
        };
        if caller.arn.contains(":assumed-role/") && seconds > USUAL_SESSION {
            return Err(invalid(
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
            ));
        }
        if !role_arn.starts_with("arn:aws:iam::") || !role_arn.contains(":role/") || role_arn.ends_with('/') {
            let account = &self.world.account;
            return Err(invalid(format!(
                "{role_arn} is invalid: a role's ARN such as arn:aws:iam::{account}:role/NAME was expected"
            )));
        }
        let account = role_arn.split(':').nth(4).unwrap_or_default();
        let said = Context::default().with("sts:RoleSessionName", session).with_if("sts:ExternalId", asked.external_id);
        // A role or an account that does not exist is refused alike: nobody learns which there are.
        let trusted = self.world.iam.check_assume(caller, role_arn, said);
        trusted.map_err(|refusal| refusal.into_service("sts"))?;
        // A role's path is no part of its sessions' names.
        let role = role_arn.rsplit('/').next().unwrap_or(role_arn);
        if seconds > self.world.iam.longest_session(role_arn) {
            return Err(invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role."));
        }
        let expires = now.checked_add(SignedDuration::from_secs(seconds)).map_err(ServiceError::internal)?;
        let keys = self.keys.session_in(&self.world, account, role, session, Some(expires));
        Ok(format!(
            "<AssumedRoleUser><AssumedRoleId>{}</AssumedRoleId><Arn>{}</Arn></AssumedRoleUser>\
             <Credentials><AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey>\
             <SessionToken>{}</SessionToken><Expiration>{}</Expiration></Credentials>",
            escape(&principal_id(&keys.arn)),
            escape(&keys.arn),
            keys.access_key_id,
            keys.secret_access_key,
            keys.session_token.unwrap_or_default(),
            expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        ))
    }
}

/// The unique id that AWS shows for a principal: `AIDA...` for a user, `AROA...:SESSION` for a role's session.
///
/// It is derived from the ARN, so that the same principal has the same id after a restart.
pub(crate) fn principal_id(arn: &str) -> String {
    let unique = |of: &str| {
        let digest = hex::encode_upper(Sha256::digest(of));
        digest.get(..16).unwrap_or_default().to_owned()
    };
    match arn.split_once(":assumed-role/").map(|(_, session)| session.split_once('/')) {
        Some(Some((role, session))) => format!("AROA{}:{session}", unique(role)),
        _ => format!("AIDA{}", unique(arn)),
    }
}

fn is_word_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '+' | '=' | ',' | '.' | '@' | '-')
}

fn escape(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}

fn invalid(message: impl Into<String>) -> ServiceError {
    ServiceError::bad("ValidationError", message)
}

/// Refuses a member that nothing looks at.
fn known(parameters: &Parameters, members: &[&str]) -> Answer<()> {
    match parameters.unknown(members) {
        Some(member) => Err(invalid(format!("the local cloud does not take the member {member}"))),
        None => Ok(()),
    }
}

fn missing(member: &str) -> ServiceError {
    invalid(format!(
        "1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must not be null"
    ))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::{Value, json};

    use super::*;
    use crate::iam::Definition;

    const ROLE: &str = "arn:aws:iam::111122223333:role/signalbox/checks";

    fn sts() -> Sts {
        let world = World::new(PathBuf::new(), "eu-west-1", 1);
        let trust = |principal: &str, condition: Value| {
            json!({ "Version": "2012-10-17", "Statement": [{
                "Sid": "Callers", "Effect": "Allow", "Principal": { "AWS": principal }, "Action": "sts:AssumeRole",
                "Condition": condition,
            }] })
        };
        let role = |path: &str, trust: Value| Definition {
            path: path.to_owned(),
            trust: Some(trust),
            longest_session: Some(7200),
            ..Definition::default()
        };
        let iam = &world.iam;
        iam.put_role("checks", role("/signalbox/", trust("111122223333", json!({})))).unwrap();
        iam.put_role("chained", role("/", trust("arn:aws:iam::111122223333:role/signalbox/checks", json!({}))))
            .unwrap();
        let secret = json!({ "StringEquals": { "sts:ExternalId": "a:b/c" } });
        iam.put_role("guarded", role("/", trust("arn:aws:iam::111122223333:user/developer", secret))).unwrap();
        iam.put_user("stranger", Definition::default()).unwrap();
        Sts::new(&Arc::new(world), &Arc::new(Keys::default()))
    }

    fn caller(arn: &str) -> Caller {
        Caller { arn: arn.to_owned(), access_key_id: "AKIA".to_owned() }
    }

    fn assume(asked: AssumeRole<'_>) -> Answer<String> {
        sts().assume_role(asked, &caller("arn:aws:iam::111122223333:user/developer"), Timestamp::UNIX_EPOCH)
    }

    fn asked() -> AssumeRole<'static> {
        AssumeRole { role_arn: Some(ROLE), session_name: Some("unit@main"), ..AssumeRole::default() }
    }

    #[test]
    fn a_session_has_the_roles_name_without_its_path_and_ends_in_time() {
        let xml = assume(AssumeRole { duration: Some("900"), external_id: Some("a:b/c"), ..asked() }).unwrap();
        assert!(xml.contains("<Arn>arn:aws:sts::111122223333:assumed-role/checks/unit@main</Arn>"), "{xml}");
        assert!(xml.contains("<Expiration>1970-01-01T00:15:00Z</Expiration>"), "{xml}");
        assert!(xml.contains("<AccessKeyId>ASIA"), "{xml}");
    }

    #[test]
    fn what_sts_refuses_is_refused_with_its_code() {
        let code = |asked| assume(asked).unwrap_err().code;
        for wrong in [
            AssumeRole { role_arn: None, ..asked() },
            AssumeRole { role_arn: Some("checks"), ..asked() },
            AssumeRole { session_name: None, ..asked() },
            AssumeRole { session_name: Some("a"), ..asked() },
            AssumeRole { session_name: Some("with space"), ..asked() },
            AssumeRole { duration: Some("899"), ..asked() },
            AssumeRole { external_id: Some("x"), ..asked() },
        ] {
            assert_eq!(code(wrong), "ValidationError", "{wrong:?}");
        }
        for nobody in [
            "arn:aws:iam::999999999999:role/x",
            "arn:aws:iam::111122223333:role/none",
            "arn:aws:iam::111122223333:role/checks",
        ] {
            assert_eq!(code(AssumeRole { role_arn: Some(nobody), ..asked() }), "AccessDenied", "{nobody}");
        }
        let long = AssumeRole { duration: Some("7201"), ..asked() };
        assert!(assume(long).unwrap_err().message.contains("MaxSessionDuration"));
    }

    #[test]
    fn only_whom_the_role_trusts_may_assume_it() {
        let stranger = caller("arn:aws:iam::111122223333:user/stranger");
        let by = |caller: &Caller, asked| sts().assume_role(asked, caller, Timestamp::UNIX_EPOCH);
        let refused = by(&stranger, asked()).unwrap_err();
        assert_eq!((refused.status, refused.code.as_str()), (403, "AccessDenied"));
        // The role trusts the account, and the account lets the administrator only.
        assert!(
            refused.message.contains("because no identity-based policy allows the sts:AssumeRole action"),
            "{refused}"
        );
        let guarded = AssumeRole { role_arn: Some("arn:aws:iam::111122223333:role/guarded"), ..asked() };
        let refused = assume(guarded).unwrap_err().message;
        assert!(
            refused.contains("no role trust policy allows") && refused.contains("the statement Callers"),
            "{refused}"
        );
        assert!(refused.contains("its condition StringEquals on sts:ExternalId does not hold"), "{refused}");
        assume(AssumeRole { external_id: Some("a:b/c"), ..guarded }).unwrap();
        let developer = caller("arn:aws:iam::111122223333:user/developer");
        let chained = AssumeRole { role_arn: Some("arn:aws:iam::111122223333:role/chained"), ..asked() };
        by(&developer, chained).unwrap_err();
        by(&caller("arn:aws:sts::111122223333:assumed-role/checks/x1"), chained).unwrap();
    }

    #[test]
    fn a_role_of_another_account_needs_both_sides() {
        const MIRROR: &str = "arn:aws:iam::444455556666:role/mirror";
        let sts = sts();
        let there = sts.world.in_account("444455556666");
        let trust = json!({ "Version": "2012-10-17", "Statement": [{
            "Sid": "Copies", "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::111122223333:root" },
            "Action": "sts:AssumeRole", "Condition": { "StringEquals": { "sts:ExternalId": "our-copies" } },
        }] });
        there.iam.put_role("mirror", Definition { trust: Some(trust), ..Definition::default() }).unwrap();
        let asked = |external_id| AssumeRole { role_arn: Some(MIRROR), external_id, ..asked() };
        let by = |name: &str, external_id| {
            let caller = caller(&format!("arn:aws:iam::111122223333:user/{name}"));
            sts.assume_role(asked(external_id), &caller, Timestamp::UNIX_EPOCH)
        };
        let xml = by("developer", Some("our-copies")).unwrap();
        assert!(xml.contains("<Arn>arn:aws:sts::444455556666:assumed-role/mirror/unit@main</Arn>"), "{xml}");
        for wrong in [None, Some("other")] {
            let refused = by("developer", wrong).unwrap_err();
            assert!(refused.message.contains("because no role trust policy allows"), "{refused}");
            assert!(
                refused.message.contains("its condition StringEquals on sts:ExternalId does not hold"),
                "{refused}"
            );
        }
        let refused = by("stranger", Some("our-copies")).unwrap_err();
        assert!(refused.message.contains("because no identity-based policy allows"), "{refused}");
        // Even a role that names the caller itself is not enough: its own account must let it, too.
        let named = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::111122223333:user/stranger" }, "Action": "sts:AssumeRole",
        }] });
        there.iam.put_role("mirror", Definition { trust: Some(named), ..Definition::default() }).unwrap();
        assert_eq!(by("stranger", None).unwrap_err().code, "AccessDenied");
        let may = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": MIRROR,
            "Condition": { "StringEquals": { "aws:ResourceAccount": "444455556666" } },
        }] });
        sts.world.iam.put_user_policy("stranger", "mirror", &may).unwrap();
        by("stranger", None).unwrap();
        assert_eq!(by("developer", None).unwrap_err().code, "AccessDenied");
    }

    #[test]
    fn a_session_may_not_assume_a_role_for_more_than_an_hour() {
        let session = caller("arn:aws:sts::111122223333:assumed-role/checks/b");
        let chained = AssumeRole { role_arn: Some("arn:aws:iam::111122223333:role/chained"), ..asked() };
        let long = AssumeRole { duration: Some("7200"), ..chained };
        assert_eq!(sts().assume_role(long, &session, Timestamp::UNIX_EPOCH).unwrap_err().code, "ValidationError");
        sts().assume_role(chained, &session, Timestamp::UNIX_EPOCH).unwrap();
    }

    #[test]
    fn the_caller_is_told_who_it_is_with_an_id_that_stays() {
        let xml = sts().caller_identity(&caller("arn:aws:sts::111122223333:assumed-role/trigger/x&y"));
        assert!(
            xml.starts_with("<Arn>arn:aws:sts::111122223333:assumed-role/trigger/x&amp;y</Arn><UserId>AROA"),
            "{xml}"
        );
        assert!(xml.ends_with(":x&amp;y</UserId><Account>111122223333</Account>"), "{xml}");
        assert_eq!(principal_id("arn:a"), principal_id("arn:a"));
    }
}
