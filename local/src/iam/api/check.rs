//! What each operation takes, and what the service model says of it; anything else is refused, never ignored.

use std::collections::BTreeSet;

use super::invalid;
use crate::error::{Answer, ServiceError};
use crate::http::Parameters;
use crate::input::check_length;

/// What an operation must be given, and what it may be given; a list's member is written without its number.
struct Input {
    operation: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
}

const LISTING: &[&str] = &["Marker", "MaxItems"];
const LISTING_BY_PATH: &[&str] = &["Marker", "MaxItems", "PathPrefix"];

const fn input(operation: &'static str, required: &'static [&'static str], optional: &'static [&'static str]) -> Input {
    Input { operation, required, optional }
}

const INPUTS: [Input; 15] = [
    input(
        "CreateRole",
        &["RoleName", "AssumeRolePolicyDocument"],
        &["Path", "Description", "MaxSessionDuration", "PermissionsBoundary", "Tags.member.Key", "Tags.member.Value"],
    ),
    input("CreateUser", &["UserName"], &["Path", "PermissionsBoundary", "Tags.member.Key", "Tags.member.Value"]),
    input("DeleteRole", &["RoleName"], &[]),
    input("DeleteRolePolicy", &["RoleName", "PolicyName"], &[]),
    input("DeleteUser", &["UserName"], &[]),
    input("DeleteUserPolicy", &["UserName", "PolicyName"], &[]),
    input("GetRole", &["RoleName"], &[]),
    input("GetUser", &[], &["UserName"]),
    input("ListRolePolicies", &["RoleName"], LISTING),
    input("ListRoles", &[], LISTING_BY_PATH),
    input("ListUserPolicies", &["UserName"], LISTING),
    input("ListUsers", &[], LISTING_BY_PATH),
    input("PutRolePolicy", &["RoleName", "PolicyName", "PolicyDocument"], &[]),
    input("PutUserPolicy", &["UserName", "PolicyName", "PolicyDocument"], &[]),
    input(
        "SimulatePrincipalPolicy",
        &["PolicySourceArn", "ActionNames.member"],
        &[
            "ResourceArns.member",
            "ContextEntries.member.ContextKeyName",
            "ContextEntries.member.ContextKeyType",
            "ContextEntries.member.ContextKeyValues.member",
            "Marker",
            "MaxItems",
        ],
    ),
];

const CONTEXT_TYPES: [&str; 12] = [
    "string",
    "stringList",
    "numeric",
    "numericList",
    "boolean",
    "booleanList",
    "ip",
    "ipList",
    "binary",
    "binaryList",
    "date",
    "dateList",
];

/// Holds an input against what the service model says.
pub(super) fn check(operation: &str, parameters: &Parameters) -> Answer<()> {
    let input = INPUTS.iter().find(|input| input.operation == operation);
    let input = input.ok_or_else(|| ServiceError::unknown_operation("iam", operation))?;
    for name in parameters.names().filter(|name| !matches!(*name, "Action" | "Version")) {
        let shape = unnumbered(name);
        if !input.required.iter().chain(input.optional).any(|known| *known == shape) {
            return Err(invalid(format!("the local cloud does not offer {name} of {operation}")));
        }
        check_value(operation, &shape, parameters.get(name).unwrap_or_default())?;
    }
    for required in input.required {
        let first = required.replace(".member", ".member.1");
        if parameters.get(&first).is_none() {
            let member = required.split('.').next().unwrap_or(required);
            return Err(invalid(format!(
                "1 validation error detected: Value null at '{}' failed to satisfy constraint: Member must not be null",
                super::lower_first(member)
            )));
        }
    }
    check_tags(parameters)
}

/// The most tags of a user or role.
const MOST_TAGS: usize = 50;

/// Each tag has both of its members, and there are not too many.
fn check_tags(parameters: &Parameters) -> Answer<()> {
    let numbers: BTreeSet<&str> = parameters
        .names()
        .filter_map(|name| name.strip_prefix("Tags.member.")?.split_once('.').map(|(number, _)| number))
        .collect();
    for number in &numbers {
        for part in ["Key", "Value"] {
            if parameters.get(&format!("Tags.member.{number}.{part}")).is_none() {
                return Err(invalid(format!(
                    "1 validation error detected: Value null at 'tags.{number}.member.{}' failed to satisfy constraint: Member must not be null",
                    super::lower_first(part)
                )));
            }
        }
    }
    if numbers.len() > MOST_TAGS {
        let what = "failed to satisfy constraint: Member must have length less than or equal to 50";
        return Err(invalid(format!("1 validation error detected: Value at 'tags' {what}")));
    }
    Ok(())
}

/// `Tags.member.Key` for `Tags.member.1.Key`.
fn unnumbered(name: &str) -> String {
    let parts = name.split('.').filter(|part| part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()));
    parts.collect::<Vec<_>>().join(".")
}

fn check_value(operation: &str, shape: &str, value: &str) -> Answer<()> {
    let refuse = |what: &str| {
        let shown: String = value.chars().take(100).collect();
        let member = super::lower_first(shape);
        Err(invalid(format!(
            "1 validation error detected: Value '{shown}' at '{member}' failed to satisfy constraint: {what}"
        )))
    };
    let number = |least: u32, most: u32| match value.parse::<u32>() {
        Ok(number) if (least..=most).contains(&number) => Ok(()),
        _ => refuse(&format!("Member must have a value from {least} to {most}")),
    };
    let (lengths, is_good): (_, fn(char) -> bool) = match shape {
        "UserName" if operation == "CreateUser" => (1..=64, is_of_name),
        "RoleName" => (1..=64, is_of_name),
        "UserName" | "PolicyName" => (1..=128, is_of_name),
        "Path" | "PathPrefix" => (1..=512, |c| matches!(c, '!'..='\u{7f}')),
        "Marker" => (1..=320, |c| matches!(c, ' '..='\u{ff}')),
        "PolicyDocument" | "AssumeRolePolicyDocument" => {
            (1..=131_072, |c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{ff}'))
        }
        "Description" => (0..=1000, |c| matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{a1}'..='\u{ff}')),
        "PermissionsBoundary" | "PolicySourceArn" => (20..=2048, |_| true),
        "Tags.member.Key" => (1..=128, is_of_tag),
        "Tags.member.Value" => (0..=256, is_of_tag),
        "ActionNames.member" => (3..=128, |_| true),
        "ResourceArns.member" => (1..=2048, |_| true),
        "ContextEntries.member.ContextKeyName" => (5..=256, |_| true),
        "ContextEntries.member.ContextKeyType" if !CONTEXT_TYPES.contains(&value) => {
            return refuse("Member must satisfy enum value set");
        }
        "MaxItems" => return number(1, 1000),
        "MaxSessionDuration" => return number(3600, 43_200),
        _ => return Ok(()),
    };
    check_length("ValidationError", &super::lower_first(shape), Some(value), lengths)?;
    let is_path = match shape {
        "Path" => value.starts_with('/') && value.ends_with('/'),
        "PathPrefix" => value.starts_with('/'),
        _ => true,
    };
    if is_path && value.chars().all(is_good) {
        Ok(())
    } else {
        refuse("Member must satisfy regular expression pattern")
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '=' | ',' | '.' | '@' | '-')
}

fn is_of_tag(c: char) -> bool {
    c.is_alphanumeric() || c == ' ' || matches!(c, '_' | '.' | ':' | '/' | '=' | '+' | '-' | '@')
}
