//! Pages of the AWS console.

use serde::{Deserialize, Serialize};
use signalbox_events::{AccountId, Arn, BuildId, CommitId, ProjectName, PullRequestId, Region, RepositoryName};

/// The console that shows a build. There is none where an emulator stands in for AWS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Console {
    /// The host without the region, which follows from the partition.
    pub domain: String,
    /// The region.
    pub region: Region,
    /// The account.
    pub account: AccountId,
}

impl Console {
    /// The console for whatever this ARN names; a partition that nobody knows has none.
    pub fn of(arn: &Arn, region: &Region, account: &AccountId) -> Option<Self> {
        let domain = match arn.as_str().split(':').nth(1)? {
            "aws" => "console.aws.amazon.com",
            "aws-cn" => "console.amazonaws.cn",
            "aws-us-gov" => "console.amazonaws-us-gov.com",
            _ => return None,
        };
        Some(Self { domain: domain.to_owned(), region: region.clone(), account: account.clone() })
    }

    fn page(&self, path: &str) -> String {
        format!("https://{region}.{}/codesuite/{path}?region={region}", self.domain, region = self.region)
    }

    /// The page of a build.
    pub(crate) fn build(&self, project: &ProjectName, build: &BuildId) -> String {
        let (project, build) = (encoded(project.as_str()), encoded(build.as_str()));
        self.page(&format!("codebuild/{}/projects/{project}/build/{build}/", self.account))
    }

    /// The page of a repository.
    pub(crate) fn repository(&self, repository: &RepositoryName) -> String {
        self.page(&format!("codecommit/repositories/{repository}/browse"))
    }

    /// The page of a pull request.
    pub(crate) fn pull_request(&self, repository: &RepositoryName, id: &PullRequestId) -> String {
        self.page(&format!("codecommit/repositories/{repository}/pull-requests/{}", encoded(id.as_str())))
    }

    /// The page of a commit.
    pub(crate) fn commit(&self, repository: &RepositoryName, commit: &CommitId) -> String {
        self.page(&format!("codecommit/repositories/{repository}/commit/{}", encoded(commit.as_str())))
    }
}

/// Percent-encoded but for letters, digits, `.`, `_` and `-`.
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_its_own_console_and_an_unknown_one_has_none() {
        let page = |partition: &str, region: &str| {
            let arn = Arn::parse(format!("arn:{partition}:codebuild:{region}:111122223333:build/unit:1-2")).unwrap();
            let account = AccountId::parse("111122223333").unwrap();
            Console::of(&arn, &Region::parse(region).unwrap(), &account).map(|console| {
                console.build(&ProjectName::parse("unit").unwrap(), &BuildId::parse("unit:1-2").unwrap())
            })
        };
        let path = "codesuite/codebuild/111122223333/projects/unit/build/unit%3A1-2/?region";
        for (partition, region, host) in [
            ("aws", "eu-west-1", "eu-west-1.console.aws.amazon.com"),
            ("aws-cn", "cn-north-1", "cn-north-1.console.amazonaws.cn"),
            ("aws-us-gov", "us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
        ] {
            assert_eq!(page(partition, region), Some(format!("https://{host}/{path}={region}")));
        }
        assert_eq!(page("aws-iso", "us-iso-east-1"), None);
    }
}
