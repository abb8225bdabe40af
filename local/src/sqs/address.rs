//! How a request names a queue: by its URL, or by its ARN.
//!
//! The gate judges what the service acts on, so both take a queue's name out of a request here.

use super::no_such_queue;
use crate::error::{Answer, ServiceError};
use crate::world::World;

/// The name in a queue's URL, `http://HOST/ACCOUNT/NAME`.
///
/// The host does not count: the endpoint's port may have changed since the URL was handed out.
///
/// # Errors
/// `InvalidAddress` for what is no such URL, `QueueDoesNotExist` for one of another account.
pub(crate) fn name_in_url<'a>(world: &World, url: &'a str) -> Answer<&'a str> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")).unwrap_or_default();
    let parts: Vec<&str> = rest.split('/').collect();
    match parts.as_slice() {
        [host, account, name] if !host.is_empty() && !account.is_empty() && !name.is_empty() => {
            if *account == world.account { Ok(name) } else { Err(no_such_queue(url)) }
        }
        _ => Err(ServiceError::bad(
            "InvalidAddress",
            format!(
                "The address {url} is not valid for this endpoint: a QueueUrl is what CreateQueue and GetQueueUrl give, {}/{}/NAME.",
                world.endpoint(),
                world.account
            ),
        )),
    }
}

/// The name in the ARN of a queue of this account and region.
pub(super) fn name_in_arn<'a>(world: &World, arn: &'a str) -> Option<&'a str> {
    arn.strip_prefix(&world.arn("sqs", "")).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_a_queue_by_its_url_only() {
        let world = World::new(std::path::PathBuf::new(), "eu-west-1", 1);
        for url in ["http://127.0.0.1:4600/111122223333/q", "https://sqs.eu-west-1.amazonaws.com/111122223333/q"] {
            assert_eq!(name_in_url(&world, url).unwrap(), "q");
        }
        for wrong in [
            "q",
            "",
            "arn:aws:sqs:eu-west-1:111122223333:q",
            "/111122223333/q",
            "http://h/111122223333/q/",
            "http://h/q",
        ] {
            assert_eq!(name_in_url(&world, wrong).unwrap_err().code, "InvalidAddress", "{wrong}");
        }
        let other = name_in_url(&world, "http://127.0.0.1:4600/999999999999/q").unwrap_err();
        assert_eq!(other.code, "QueueDoesNotExist");
        assert_eq!(name_in_arn(&world, "arn:aws:sqs:eu-west-1:111122223333:q"), Some("q"));
        assert_eq!(name_in_arn(&world, "arn:aws:sqs:us-east-1:111122223333:q"), None);
    }
}
