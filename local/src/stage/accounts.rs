//! Accounts beside the stack's own, each with the template that its administrator would deploy there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, bail};

use super::read_template;
use crate::auth::Credentials;
use crate::cloud::Regions;
use crate::iam::ADMINISTRATOR;
use crate::template::{Pseudo, ResourceKind, Stack, Template};
use crate::world::{AccountError, check_account};

/// The name of the stack in such an account.
const STACK: &str = "signalbox-mirror";

/// What a template may make there: services that make anything else are not played in it.
const MADE: [ResourceKind; 4] =
    [ResourceKind::Role, ResourceKind::ManagedPolicy, ResourceKind::Bucket, ResourceKind::BucketPolicy];

/// An account to be played beside the stack's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FurtherAccount {
    /// Its id.
    pub id: String,
    /// What is deployed there.
    pub template: Option<GivenTemplate>,
}

/// A template with values for its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenTemplate {
    /// Its file.
    pub file: PathBuf,
    /// Values for its parameters.
    pub parameters: BTreeMap<String, String>,
}

/// Why a text names no account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAccount {
    /// The id is none, or is taken.
    #[error(transparent)]
    Id(#[from] AccountError),
    /// There is nothing behind the equals sign.
    #[error("a template's file is missing behind the equals sign")]
    NoTemplate,
    /// A parameter has no value.
    #[error("{0:?} is no parameter of the template: it is given as NAME=VALUE")]
    NoParameter(String),
}

/// `ID[=TEMPLATE[,NAME=VALUE]...]`
impl FromStr for FurtherAccount {
    type Err = NoAccount;

    fn from_str(text: &str) -> Result<Self, NoAccount> {
        let (id, rest) = text.split_once('=').map_or((text, None), |(id, rest)| (id, Some(rest)));
        check_account(id)?;
        let template = rest.map(GivenTemplate::from_str).transpose()?;
        Ok(Self { id: id.to_owned(), template })
    }
}

impl FromStr for GivenTemplate {
    type Err = NoAccount;

    fn from_str(text: &str) -> Result<Self, NoAccount> {
        let (file, rest) = text.split_once(',').map_or((text, None), |(file, rest)| (file, Some(rest)));
        if file.is_empty() {
            return Err(NoAccount::NoTemplate);
        }
        let parameters = rest.into_iter().flat_map(|rest| rest.split(',')).map(|pair| {
            let (name, value) = pair.split_once('=').ok_or_else(|| NoAccount::NoParameter(pair.to_owned()))?;
            Ok((name.to_owned(), value.to_owned()))
        });
        Ok(Self { file: PathBuf::from(file), parameters: parameters.collect::<Result<_, NoAccount>>()? })
    }
}

/// An account that is played beside the stack's own.
#[derive(Debug)]
pub struct PlayedAccount {
    /// Its id.
    pub id: String,
    /// Keys of its user `developer`.
    pub developer: Credentials,
    /// What was made from its template.
    pub stack: Option<Stack>,
}

/// An account whose template was read.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) id: String,
    template: Option<Template>,
}

/// Reads the templates of these accounts, before anything is started.
pub(super) fn plan(accounts: &[FurtherAccount], region: &str) -> anyhow::Result<Vec<Planned>> {
    let mut planned: Vec<Planned> = Vec::new();
    for account in accounts {
        let id = account.id.clone();
        if planned.iter().any(|other| other.id == id) {
            bail!("the account {id} is named twice");
        }
        let template = match &account.template {
            None => None,
            Some(given) => {
                let pseudo = Pseudo::new(&id, region, STACK);
                let (_, template) = read_template(&given.file, &given.parameters, &pseudo)?;
                if let Some(other) = template.resources.iter().find(|resource| !MADE.contains(&resource.kind)) {
                    let (what, kind) = (&other.id, other.kind.name());
                    let made = MADE.map(ResourceKind::name).join(", ");
                    bail!(
                        "{}: {what} is {kind}, and the account {id} is played with {made} only",
                        given.file.display()
                    );
                }
                Some(template)
            }
        };
        planned.push(Planned { id, template });
    }
    Ok(planned)
}

impl Planned {
    /// Makes what the template says, and keys for the account's user.
    pub(super) async fn make(self, regions: &Regions) -> anyhow::Result<PlayedAccount> {
        let (id, cloud) = (self.id, &regions.home);
        let stack = match &self.template {
            Some(template) => {
                let made = Stack::create(cloud, template).await;
                Some(made.with_context(|| format!("the template of the account {id} could not be made"))?)
            }
            None => None,
        };
        let developer = cloud.keys.user(&cloud.world, ADMINISTRATOR);
        Ok(PlayedAccount { id, developer, stack })
    }
}

impl PlayedAccount {
    /// The ARNs of the roles that the template made.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        let made = self.stack.iter().flat_map(|stack| stack.resources.values());
        made.filter(|made| made.kind == ResourceKind::Role)
            .filter_map(|made| made.attributes.get("Arn").map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_an_id_with_a_template_and_values_for_its_parameters() {
        let parse = FurtherAccount::from_str;
        let plain = parse("444455556666").unwrap();
        assert_eq!(plain, FurtherAccount { id: "444455556666".to_owned(), template: None });
        let full = parse("444455556666=a/b.yaml,ExternalId=x=y,Source=111122223333").unwrap().template.unwrap();
        assert_eq!(full.file, PathBuf::from("a/b.yaml"));
        let given: Vec<(&str, &str)> = full.parameters.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(given, [("ExternalId", "x=y"), ("Source", "111122223333")]);
        for (wrong, words) in [
            ("44445555666", "twelve digits"),
            ("111122223333", "is there already"),
            ("444455556666=", "file is missing"),
            ("444455556666=a.yaml,ExternalId", "NAME=VALUE"),
        ] {
            let told = parse(wrong).unwrap_err().to_string();
            assert!(told.contains(words), "{wrong}: {told}");
        }
    }
}
