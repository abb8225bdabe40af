//! The way in: which account, which region, which stack; and what to do when the door stays shut.

use std::error::Error;
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use signalbox_aws::{
    Account, Aws, Cause, Failure, Identity, Problem, ServiceError, StackDescription, StackResource, Stacks,
};

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
    #[arg(long, value_name = "REGION", value_parser = region)]
    region: Option<String>,
    /// What stands in for AWS, such as the local cloud, instead of AWS_ENDPOINT_URL.
    #[arg(long, value_name = "URL", value_parser = endpoint)]
    endpoint_url: Option<String>,
}

/// What every command offers that changes something after asking.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Caution {
    /// Show what would change, and change nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do not ask.
    #[arg(long)]
    pub(super) yes: bool,
}

/// A region's name by its form alone: which ones there are, AWS knows.
fn region(name: &str) -> Result<String, &'static str> {
    let parts: Vec<&str> = name.split('-').collect();
    let good = match parts.as_slice() {
        [words @ .., number] => {
            words.len() >= 2
                && words.iter().all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()))
                && (1..=2).contains(&number.len())
                && number.bytes().all(|byte| byte.is_ascii_digit())
        }
        [] => false,
    };
    if good { Ok(name.to_owned()) } else { Err("no region's name, such as eu-west-1") }
}

/// An address that a client can call.
fn endpoint(url: &str) -> Result<String, &'static str> {
    let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let good = host.is_some_and(|host| !host.is_empty() && !host.starts_with(['/', ':']) && !url.contains(' '));
    if good { Ok(url.to_owned()) } else { Err("no address, such as http://127.0.0.1:4600") }
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

/// A failure with what to do about it.
fn refused(failure: &Failure, aws: &Aws) -> anyhow::Error {
    let problem = failure.problem();
    let advice = match (&problem.cause, failure) {
        (Cause::Answered(error), _) => advice(action(problem), error, failure),
        (Cause::Unreachable, _) => {
            let whom = aws.endpoint().map_or_else(|| format!("AWS in {}", aws.region()), str::to_owned);
            format!("{whom} does not answer: check the network, --region and AWS_ENDPOINT_URL")
        }
        (Cause::Other, Failure::Retry(_)) => format!("{} did not go well this time: run it again", action(problem)),
        (Cause::Other, Failure::Refused(_)) => format!("{} cannot be done", action(problem)),
    };
    anyhow!(told(problem)).context(advice)
}

/// The first word of what was being done: `s3:PutObject`.
fn action(problem: &Problem) -> &str {
    problem.doing.split(' ').next().unwrap_or_default()
}

/// What happened: in AWS's words with the request's id, or by what stands at the bottom of it.
fn told(problem: &Problem) -> String {
    if let Cause::Answered(error) = &problem.cause {
        return format!("{}: {error}", problem.doing);
    }
    let mut below: Option<&dyn Error> = problem.source();
    let mut lowest = None;
    while let Some(error) = below {
        lowest = Some(error.to_string());
        below = error.source();
    }
    let lowest = lowest.map(|lowest| format!(": {lowest}")).unwrap_or_default();
    format!("{}: {}{lowest}", problem.doing, problem.what)
}

/// What to do about what AWS said.
fn advice(action: &str, error: &ServiceError, failure: &Failure) -> String {
    let code = error.code.as_str();
    let says = |words: &str| error.message.as_deref().is_some_and(|message| message.contains(words));
    if failure.is_forbidden() {
        return format!(
            "access denied: your credentials may not {action}; have it allowed (docs/deploy.md has a policy for each \
             command), or take another --profile"
        );
    }
    if ["ExpiredToken", "ExpiredTokenException"].contains(&code) {
        return "your credentials have expired: get new ones, such as by `aws sso login`".to_owned();
    }
    if ["RequestTimeTooSkewed", "RequestExpired"].contains(&code)
        || says("Signature expired")
        || says("not yet current")
    {
        return "this machine's clock and AWS's differ by minutes: set it right".to_owned();
    }
    if UNKNOWN_KEYS.contains(&code) {
        return "your keys are not known there, or they are of another account or endpoint: check --profile, \
                AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL"
            .to_owned();
    }
    if code == "NoSuchBucket" || code.ends_with("QueueDoesNotExist") || code.ends_with("NonExistentQueue") {
        return "this part of the stack is gone, though CloudFormation still lists it: `signalbox uninstall` takes the \
                rest away, then deploy anew (docs/deploy.md)"
            .to_owned();
    }
    if code.contains("Throttl") || ["SlowDown", "TooManyRequestsException", "RequestLimitExceeded"].contains(&code) {
        return "AWS is asked too much at the moment: run it again in a minute".to_owned();
    }
    match failure {
        Failure::Retry(_) => format!("{action} failed on AWS's side: run it again in a minute"),
        Failure::Refused(_) => format!("{action} was refused, for the reason below"),
    }
}

/// Codes that mean: nobody has these keys.
const UNKNOWN_KEYS: [&str; 5] = [
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_of_every_partition_and_nothing_else_are_regions() {
        for good in ["eu-west-1", "cn-north-1", "us-gov-west-1", "eusc-de-east-1", "ap-southeast-7"] {
            assert!(region(good).is_ok(), "{good}");
        }
        for bad in ["", "mars", "eu-west", "eu-west-", "eu--1", "EU-WEST-1", "eu-west-1a", "eu-west-1/x"] {
            assert!(region(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_endpoint_has_a_scheme_and_a_host() {
        for good in ["http://127.0.0.1:4600", "https://localhost", "http://[::1]:1"] {
            assert!(endpoint(good).is_ok(), "{good}");
        }
        for bad in ["", "localhost:4600", "http://", "http:///x", "ftp://x", "http://a b"] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }
}
