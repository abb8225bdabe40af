//! The rules of the approver: facts in, decision out.
//!
//! No async, no AWS, no clock, no environment, no randomness: everything that [`decide`] looks at is in [`Facts`], and both
//! are values that can be written to a file.

mod asked;
mod comment;
mod decide;
mod decision;
mod facts;
mod gate;
mod judge;
mod memory;
mod needs;
mod render;
mod sweep;
mod templates;

pub use asked::{Asked, Check, has_approvals};
pub use comment::MARKER;
pub use decide::decide;
pub use decision::{Action, Decision, Reason, Tampering, Verdict};
pub use facts::{
    BuildFacts, CheckFacts, CommentSeen, Facts, Found, Head, Idle, Occasion, Overrider, Paths, Project,
    PullRequestFacts, RuleEvent, RuleFacts, Scope, Subject, Void,
};
pub use gate::Gate;
pub use judge::{Item, Met, What, Why};
pub use memory::{Filtered, Memory, Posted, Read, comment_token, digest};
pub use needs::{
    CheckNeeds, More, Needs, check_needs, is_concerned, may_be_overridden, needs, needs_of_build, wants_more,
    wants_review,
};
pub use render::{render_action, render_item, render_reason};
pub use sweep::Cursor;
pub use templates::{
    MOST_OF_REPOSITORY, TemplateAction, TemplateDecision, TemplateDrift, TemplateFacts, TemplateMemory, Wanted,
    decide_templates, render_drift, render_template_action, wanted_templates,
};
