//! The way in: which account, which region, which stack; and what to do when the door stays shut.

use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use signalbox_aws::{Account, Aws, Failure, Identity, StackDescription, StackResource, Stacks};

/// Where the stack is.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Where the stack is")]
pub(super) struct AccountArguments {
    /// The stack's name.
    #[arg(long, value_name = "NAME", default_value = crate::stage::STACK)]
    pub(super) stack: String,
    /// A profile of ~/.aws/config, instead of AWS_PROFILE and of keys in the environment.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// The region, instead of AWS_REGION and of the profile's.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// What stands in for AWS, such as the local cloud, instead of AWS_ENDPOINT_URL.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
}

/// An account that was entered.
#[derive(Debug)]
pub(super) struct Entered {
    pub(super) aws: Aws,
    pub(super) identity: Identity,
    pub(super) stacks: Stacks,
    pub(super) stack: String,
}

/// A stack that is there.
#[derive(Debug)]
pub(super) struct Installed {
    pub(super) description: StackDescription,
    pub(super) resources: Vec<StackResource>,
}

/// What belongs to one function of the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FunctionParts {
    /// Its short name, which is also its name in the ledger.
    pub(super) name: String,
    pub(super) queue: String,
    pub(super) dead_letters: String,
    pub(super) log_group: String,
}

impl AccountArguments {
    /// Finds credentials, and asks AWS whose they are.
    pub(super) async fn enter(&self) -> anyhow::Result<Entered> {
        let account = Account {
            profile: self.profile.clone(),
            region: self.region.clone(),
            endpoint: self.endpoint_url.clone(),
            certificates: std::env::var_os("AWS_CA_BUNDLE").filter(|file| !file.is_empty()).map(PathBuf::from),
        };
        let aws = Aws::of_person(&account).await?;
        let identity = aws.identity().await.map_err(|failure| refused(&failure, &aws))?;
        Ok(Entered { stacks: Stacks::new(&aws), stack: self.stack.clone(), identity, aws })
    }
}

impl Entered {
    /// `account 111122223333, region eu-west-1`, and what stands in for AWS.
    pub(super) fn place(&self) -> String {
        let place = format!("account {}, region {}", self.identity.account, self.aws.region());
        match self.aws.endpoint() {
            Some(endpoint) => format!("{place}, at {endpoint}"),
            None => place,
        }
    }

    /// An answer, or the refusal in words that say what to do.
    pub(super) fn or_told<T>(&self, answer: Result<T, Failure>) -> anyhow::Result<T> {
        answer.map_err(|failure| refused(&failure, &self.aws))
    }

    /// The stack, which must be there.
    pub(super) async fn installed(&self) -> anyhow::Result<Installed> {
        let found = self.or_told(self.stacks.find(&self.stack).await)?;
        let Some(description) = found else {
            bail!(
                "there is no stack {} in {}: give --stack, --region or --profile, or deploy it first (docs/deploy.md)",
                self.stack,
                self.place()
            );
        };
        let resources = self.or_told(self.stacks.resources(&description.id).await)?;
        Ok(Installed { description, resources })
    }
}

impl Installed {
    /// What a resource of the template is called in the account.
    pub(super) fn physical(&self, logical: &str) -> Option<&str> {
        self.resources.iter().find(|one| one.logical_id == logical)?.physical_id.as_deref()
    }

    /// The stack's bucket.
    pub(super) fn bucket(&self) -> anyhow::Result<&str> {
        self.physical("Bucket").with_context(|| {
            let name = &self.description.name;
            format!("the stack {name} has no resource `Bucket`: is it a stack of Signalbox?")
        })
    }

    /// The functions, in the order of their names: each is one block of the template, named alike.
    pub(super) fn functions(&self) -> Vec<FunctionParts> {
        let functions = self.resources.iter().filter(|one| one.kind == "AWS::Lambda::Function");
        let mut found: Vec<FunctionParts> = functions
            .filter_map(|one| {
                let block = one.logical_id.strip_suffix("Function")?;
                let part = |suffix: &str| self.physical(&format!("{block}{suffix}")).map(str::to_owned);
                Some(FunctionParts {
                    name: block.to_lowercase(),
                    queue: part("Queue")?,
                    dead_letters: part("DeadLetters")?,
                    log_group: part("Logs")?,
                })
            })
            .collect();
        found.sort_by(|one, other| one.name.cmp(&other.name));
        found
    }

    /// The functions that a person means: the named one, or all.
    pub(super) fn meant(&self, name: Option<&str>) -> anyhow::Result<Vec<FunctionParts>> {
        let all = self.functions();
        let Some(name) = name else { return Ok(all) };
        let known = all.iter().map(|one| one.name.clone()).collect::<Vec<_>>().join(", ");
        match all.into_iter().find(|one| one.name == name) {
            Some(one) => Ok(vec![one]),
            None => bail!("the stack {} has no function {name}; it has {known}", self.description.name),
        }
    }
}

/// A refusal with what to do about it.
fn refused(failure: &Failure, aws: &Aws) -> anyhow::Error {
    let doing = failure.problem().doing.clone();
    let action = doing.split(' ').next().unwrap_or_default().to_owned();
    let advice = match failure.code() {
        _ if failure.is_forbidden() => {
            format!("access denied: your credentials may not {action}; have it allowed, or take another --profile")
        }
        Some("ExpiredToken" | "ExpiredTokenException" | "RequestExpired") => {
            "your credentials have expired: get new ones, such as by `aws sso login`".to_owned()
        }
        Some(
            "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "InvalidSignatureException",
        ) => "your keys are not known there, or they are of another account or endpoint: check --profile, \
              AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL"
            .to_owned(),
        None if matches!(failure, Failure::Retry(_)) => {
            let whom = aws.endpoint().map_or_else(|| format!("AWS in {}", aws.region()), str::to_owned);
            format!("{whom} does not answer: check the network, --region and AWS_ENDPOINT_URL")
        }
        _ => format!("{action} was refused"),
    };
    anyhow!(failure.chain()).context(advice)
}
