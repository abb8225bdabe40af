//! Reactions to comments: one of each person, of a closed set.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::Nothing;
use super::super::names::{check_arn, check_size};
use super::super::repositories::{Repositories, no_such_page};
use super::{Comment, Thread, check_comment_id};
use crate::auth::Caller;
use crate::error::{Answer, ServiceError};
use crate::paging::Order;

/// The page, as documented.
const PAGE: usize = 1000;

/// A reaction that there is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reaction {
    /// As counts have it.
    pub(super) name: &'static str,
    pub(super) emoji: &'static str,
    pub(super) short_code: &'static str,
    pub(super) unicode: &'static str,
}

const fn reaction(
    name: &'static str,
    emoji: &'static str,
    short_code: &'static str,
    unicode: &'static str,
) -> Reaction {
    Reaction { name, emoji, short_code, unicode }
}

/// All of them, as the user guide lists them.
const ALL: [Reaction; 12] = [
    reaction("THUMBSUP", "\u{1f44d}", ":thumbsup:", "U+1F44D"),
    reaction("THUMBSDOWN", "\u{1f44e}", ":thumbsdown:", "U+1F44E"),
    reaction("SMILE", "\u{1f604}", ":smile:", "U+1F604"),
    reaction("HEART", "\u{2764}", ":heart:", "U+2764"),
    reaction("ANGRY", "\u{1f620}", ":angry:", "U+1F620"),
    reaction("CONFUSED", "\u{1f615}", ":confused:", "U+1F615"),
    reaction("SCREAM", "\u{1f631}", ":scream:", "U+1F631"),
    reaction("SOB", "\u{1f62d}", ":sob:", "U+1F62D"),
    reaction("CLAP", "\u{1f44f}", ":clap:", "U+1F44F"),
    reaction("CONFETTI_BALL", "\u{1f38a}", ":confetti_ball:", "U+1F38A"),
    reaction("SHIP", "\u{1f6a2}", ":ship:", "U+1F6A2"),
    reaction("EYES", "\u{1f440}", ":eyes:", "U+1F440"),
];

/// `PutCommentReaction`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct PutReaction {
    comment_id: Option<String>,
    reaction_value: Option<String>,
}

/// `GetCommentReactions`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct GetReactions {
    comment_id: Option<String>,
    reaction_user_arn: Option<String>,
    next_token: Option<String>,
    max_results: Option<i64>,
}

/// The output of `GetCommentReactions`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::codecommit) struct Reactions {
    reactions_for_comment: Vec<OfOneKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// `ReactionForComment` of the model.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OfOneKind {
    reaction: Formats,
    reaction_users: Vec<String>,
    reactions_from_deleted_users_count: usize,
}

/// `ReactionValueFormats` of the model.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Formats {
    emoji: &'static str,
    short_code: &'static str,
    unicode: &'static str,
}

impl Reaction {
    /// Finds it by any of its forms; none takes a reaction back.
    fn check(value: Option<String>) -> Answer<Option<&'static Self>> {
        let value = value.ok_or_else(|| {
            ServiceError::bad("ReactionValueRequiredException", "a reaction is required; `none` takes yours back")
        })?;
        if value.trim().is_empty() || value == "none" {
            return Ok(None);
        }
        // An emoji may come with the sign that asks for a picture.
        let plain = value.trim_end_matches('\u{fe0f}');
        let is_it = |one: &&Self| plain == one.emoji || value == one.short_code || value == one.unicode;
        ALL.iter().find(is_it).map(Some).ok_or_else(|| {
            ServiceError::bad("InvalidReactionValueException", format!("{value:?} is no reaction that there is"))
        })
    }
}

impl Repositories {
    pub(in crate::codecommit) fn put_reaction(&self, input: PutReaction, caller: &Caller) -> Answer<Nothing> {
        let id = check_comment_id(input.comment_id)?;
        let reaction = Reaction::check(input.reaction_value)?;
        let (comment, thread, before) = self.comments.change(|all| -> Answer<(Comment, Thread, Option<String>)> {
            let comment = all.find_live(&id)?;
            let before = match reaction {
                Some(reaction) => comment.reactions.insert(caller.arn.clone(), reaction.name.to_owned()),
                None => comment.reactions.remove(&caller.arn),
            };
            let comment = comment.clone();
            let thread = all.thread(&comment)?.clone();
            Ok((comment, thread, before))
        })?;
        if let Some(reaction) = reaction.filter(|reaction| before.as_deref() != Some(reaction.name)) {
            self.tell_reaction(&comment, &thread, reaction, before.is_none(), caller);
        }
        Ok(Nothing {})
    }

    /// Those of users who are gone are only counted.
    pub(in crate::codecommit) fn get_reactions(&self, input: GetReactions) -> Answer<Reactions> {
        let id = check_comment_id(input.comment_id)?;
        let user = check_arn(input.reaction_user_arn, "InvalidReactionUserArnException")?;
        let size = check_size(input.max_results, PAGE, "InvalidMaxResultsException")?;
        let reactions = self.comments.read(|all| -> Answer<BTreeMap<String, String>> {
            let comment = all.find(&id)?;
            if comment.content.is_none() {
                return Err(ServiceError::bad("CommentDeletedException", format!("the comment {id} was deleted")));
            }
            Ok(comment.reactions.clone())
        })?;
        let of_kind = |kind: &'static Reaction| {
            let all = reactions
                .iter()
                .filter(|(arn, reaction)| **reaction == kind.name && user.as_ref().is_none_or(|user| user == *arn));
            let (there, gone): (Vec<String>, Vec<String>) =
                all.map(|(arn, _)| arn.clone()).partition(|arn| self.world.iam.is_known(arn));
            let is_there = !there.is_empty() || !gone.is_empty();
            is_there.then_some(OfOneKind {
                reaction: Formats { emoji: kind.emoji, short_code: kind.short_code, unicode: kind.unicode },
                reaction_users: there,
                reactions_from_deleted_users_count: gone.len(),
            })
        };
        let kinds = ALL.iter().enumerate().filter_map(|(number, kind)| Some((format!("{number:04}"), of_kind(kind)?)));
        let listing = self.world.listing("codecommit:GetCommentReactions", &[&id, user.as_deref().unwrap_or_default()]);
        let (reactions_for_comment, next_token) =
            listing.page(kinds, Order::Ascending, size, input.next_token.as_deref()).map_err(no_such_page)?;
        Ok(Reactions { reactions_for_comment, next_token })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reaction_is_meant_by_each_of_its_forms() {
        let check = |value: &str| Reaction::check(Some(value.to_owned()));
        for form in ["\u{2764}", "\u{2764}\u{fe0f}", ":heart:", "U+2764"] {
            assert_eq!(check(form).unwrap().unwrap().name, "HEART", "{form}");
        }
        assert_eq!((check("none"), check("")), (Ok(None), Ok(None)));
        assert_eq!(check(":pizza:").unwrap_err().code, "InvalidReactionValueException");
        assert_eq!(Reaction::check(None).unwrap_err().code, "ReactionValueRequiredException");
        for one in &ALL {
            let unicode = format!("U+{:04X}", u32::from(one.emoji.chars().next().unwrap()));
            assert_eq!((unicode.as_str(), one.emoji.chars().count()), (one.unicode, 1));
        }
    }
}
