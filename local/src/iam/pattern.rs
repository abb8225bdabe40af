//! Texts of a policy: wildcards, policy variables, and ARNs that are compared part by part.

use std::borrow::Cow;

use super::context::{Context, is_known};

/// How many parts an ARN has; the last may hold colons of its own.
const ARN_PARTS: usize = 6;

/// Whether `${...}` in a text is a policy variable: only from the policy version 2012-10-17 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variables {
    Known,
    Literal,
}

/// Whether `*` and `?` stand for other characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wildcards {
    Known,
    Literal,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Char(char),
    AnyOne,
    AnyText,
    Variable { key: String, default: Option<String> },
}

/// A text as a policy writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    pieces: Vec<Piece>,
    text: String,
}

impl Pattern {
    /// Reads a text; the error says what is wrong with a variable in it.
    pub(super) fn parse(text: &str, variables: Variables, wildcards: Wildcards) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            let after = rest.get(character.len_utf8()..).unwrap_or_default();
            if variables == Variables::Known
                && let Some(inside) = rest.strip_prefix("${")
            {
                let (name, behind) =
                    inside.split_once('}').ok_or_else(|| format!("the policy variable in {text:?} has no end"))?;
                pieces.push(variable(name).ok_or_else(|| format!("${{{name}}} is no policy variable"))?);
                rest = behind;
                continue;
            }
            pieces.push(match character {
                '*' if wildcards == Wildcards::Known => Piece::AnyText,
                '?' if wildcards == Wildcards::Known => Piece::AnyOne,
                other => Piece::Char(other),
            });
            rest = after;
        }
        Ok(Self { pieces, text: text.to_owned() })
    }

    /// As the policy has it.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether every variable in it is one that a request here can have.
    pub(super) fn check_variables(&self) -> Result<(), String> {
        let unknown = self.pieces.iter().find_map(|piece| match piece {
            Piece::Variable { key, .. } if !is_known(key) => Some(key),
            _ => None,
        });
        match unknown {
            None => Ok(()),
            Some(key) => Err(format!("the local cloud does not know the policy variable ${{{key}}}")),
        }
    }

    /// Whether `text` is what this means. A variable that cannot be known matches nothing.
    pub(super) fn matches(&self, text: &str, context: &Context) -> bool {
        resolve(&self.pieces, context).is_some_and(|pieces| glob(&pieces, text))
    }

    /// The same, whatever the case of the letters.
    pub(super) fn matches_in_any_case(&self, text: &str, context: &Context) -> bool {
        let Some(pieces) = resolve(&self.pieces, context) else { return false };
        let lower: Vec<Piece> = pieces
            .iter()
            .flat_map(|piece| match piece {
                Piece::Char(character) => character.to_lowercase().map(Piece::Char).collect(),
                other => vec![other.clone()],
            })
            .collect();
        glob(&lower, &text.to_lowercase())
    }
}

/// An ARN as a policy writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ArnPattern {
    parts: Vec<Vec<Piece>>,
    pattern: Pattern,
}

impl ArnPattern {
    /// Reads an ARN, or `*`.
    pub(super) fn parse(text: &str, variables: Variables) -> Result<Self, String> {
        let pattern = Pattern::parse(text, variables, Wildcards::Known)?;
        if text != "*" && !text.starts_with("arn:") {
            return Err(format!("Resource {text} must be in ARN format or \"*\"."));
        }
        let mut parts: Vec<Vec<Piece>> = vec![Vec::new()];
        for piece in &pattern.pieces {
            if *piece == Piece::Char(':') && parts.len() < ARN_PARTS {
                parts.push(Vec::new());
            } else if let Some(last) = parts.last_mut() {
                last.push(piece.clone());
            }
        }
        let ends_open = parts.last().and_then(|last| last.last()) == Some(&Piece::AnyText);
        if parts.len() < ARN_PARTS && !ends_open {
            return Err(format!(
                "Resource {text} must be in ARN format or \"*\": arn:partition:service:region:account:resource"
            ));
        }
        Ok(Self { parts, pattern })
    }

    /// As the policy has it.
    pub(super) fn text(&self) -> &str {
        self.pattern.text()
    }

    /// Whether every variable in it is one that a request here can have.
    pub(super) fn check_variables(&self) -> Result<(), String> {
        self.pattern.check_variables()
    }

    /// Whether it names everything there is.
    pub(super) fn is_everything(&self) -> bool {
        self.text() == "*"
    }

    /// Whether `arn` is one that this names: part by part, so that no wildcard reaches over a colon, but for a `*` at the
    /// very end.
    pub(super) fn matches(&self, arn: &str, context: &Context) -> bool {
        let last = self.parts.len().saturating_sub(1);
        let mut texts = arn.splitn(self.parts.len(), ':');
        for (number, part) in self.parts.iter().enumerate() {
            let Some(text) = texts.next() else { return false };
            let Some(pieces) = resolve(part, context) else { return false };
            // Only what is behind the fifth colon, or an open end, may hold colons.
            let is_open = number + 1 == ARN_PARTS || pieces.last() == Some(&Piece::AnyText);
            if number == last && !is_open && text.contains(':') {
                return false;
            }
            if !glob(&pieces, text) {
                return false;
            }
        }
        true
    }
}

fn variable(inside: &str) -> Option<Piece> {
    match inside {
        "*" | "?" | "$" => inside.chars().next().map(Piece::Char),
        _ => {
            let (key, default) = match inside.split_once(',') {
                Some((key, default)) => {
                    (key.trim(), Some(default.trim().strip_prefix('\'')?.strip_suffix('\'')?.to_owned()))
                }
                None => (inside.trim(), None),
            };
            let (vendor, name) = key.split_once(':')?;
            (!vendor.is_empty() && !name.is_empty()).then(|| Piece::Variable { key: key.to_ascii_lowercase(), default })
        }
    }
}

/// The pieces with the context's values in the place of variables.
fn resolve<'a>(pieces: &'a [Piece], context: &Context) -> Option<Cow<'a, [Piece]>> {
    if !pieces.iter().any(|piece| matches!(piece, Piece::Variable { .. })) {
        return Some(Cow::Borrowed(pieces));
    }
    let mut resolved = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match piece {
            Piece::Variable { key, default } => {
                let value = match context.get(key) {
                    // A variable stands for one value; which of several would be meant nobody can say.
                    Some([value]) => value,
                    _ => default.as_ref()?,
                };
                resolved.extend(value.chars().map(Piece::Char));
            }
            other => resolved.push(other.clone()),
        }
    }
    Some(Cow::Owned(resolved))
}

fn glob(pattern: &[Piece], text: &str) -> bool {
    let (mut at, mut rest) = (0, text);
    // Behind the last star, and the text from which it may swallow one character more.
    let mut star: Option<(usize, &str)> = None;
    loop {
        let mut behind = rest.chars();
        let next = behind.next();
        let fits = match (pattern.get(at), next) {
            (Some(Piece::AnyText), _) => {
                at += 1;
                star = Some((at, rest));
                continue;
            }
            (Some(Piece::AnyOne), Some(_)) => true,
            (Some(Piece::Char(wanted)), Some(character)) => *wanted == character,
            (None, None) => return true,
            _ => false,
        };
        if fits {
            at += 1;
            rest = behind.as_str();
            continue;
        }
        let Some((after, from)) = star else { return false };
        let mut swallowed = from.chars();
        if swallowed.next().is_none() {
            return false;
        }
        (at, rest) = (after, swallowed.as_str());
        star = Some((after, rest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        Context::default().with("aws:username", "dev*").with("aws:PrincipalTag/team", "payments")
    }

    fn hit(pattern: &str, text: &str) -> bool {
        Pattern::parse(pattern, Variables::Known, Wildcards::Known).unwrap().matches(text, &context())
    }

    fn arn(pattern: &str, text: &str) -> bool {
        ArnPattern::parse(pattern, Variables::Known).unwrap().matches(text, &context())
    }

    #[test]
    fn a_star_is_any_text_and_a_question_mark_one_character() {
        assert!(hit("*", "") && hit("a*", "a") && hit("a*b*c", "a--b--b--c") && hit("?x", "\u{fc}x") && hit("", ""));
        assert!(!hit("?", "") && !hit("a*b", "a") && !hit("A", "a") && !hit("a*b*c", "acb"));
    }

    #[test]
    fn variables_stand_for_what_is_known_and_their_values_are_no_wildcards() {
        assert!(hit("home/${aws:username}/*", "home/dev*/x") && !hit("home/${aws:username}/*", "home/developer/x"));
        assert!(hit("${aws:PrincipalTag/Team}", "payments"));
        assert!(hit("${aws:PrincipalTag/none, 'shared'}", "shared") && !hit("${aws:PrincipalTag/none}", ""));
        assert!(hit("${*}${?}${$}", "*?$") && !hit("${*}", "x"));
        let old = Pattern::parse("${aws:username}", Variables::Literal, Wildcards::Known).unwrap();
        assert!(old.matches("${aws:username}", &context()));
        for wrong in ["${aws:username", "${}", "${username}", "${aws:x, 'y}"] {
            assert!(Pattern::parse(wrong, Variables::Known, Wildcards::Known).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_arn_is_compared_part_by_part() {
        let queue = "arn:aws:sqs:eu-west-1:111122223333:trigger";
        assert!(arn("*", queue) && arn("arn:aws:sqs:*:*:trig*", queue) && arn("arn:aws:sqs:*", queue));
        assert!(arn("arn:aws:*:eu-west-?:111122223333:trigger", queue));
        assert!(!arn("arn:aws:sqs:*:trigger*", queue), "a part is missing");
        assert!(!arn("arn:aws:sqs:eu-west-1:111122223333:trig", queue));
        let stream = "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/codebuild/unit:log-stream:s";
        assert!(arn("arn:aws:logs:eu-west-1:111122223333:log-group:/aws/codebuild/*:log-stream:*", stream));
        assert!(arn("arn:aws:logs:eu-west-1:111122223333:log-group:/aws/codebuild/unit:*", stream));
        assert!(!arn("arn:aws:logs:eu-west-1:111122223333:log-group:/aws/codebuild/unit", stream));
        assert!(arn("arn:aws:s3:::bucket/${aws:username}", "arn:aws:s3:::bucket/dev*"));
        for wrong in ["bucket", "arn:aws:s3", "arn:aws:s3:::", ""] {
            assert_eq!(ArnPattern::parse(wrong, Variables::Known).is_err(), wrong != "arn:aws:s3:::", "{wrong}");
        }
    }
}
