//! Secrets Manager: secrets as texts, in memory only. Nothing secret is written to the disk, so they end with the cloud.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{Answer, ServiceError};
use crate::world::World;

/// What is offered.
pub(crate) const OPERATIONS: &[&str] = &["CreateSecret", "GetSecretValue"];

/// What does not fit is refused with this code.
const INVALID: &str = "InvalidParameterException";

/// The secrets of one region.
pub struct SecretsManager {
    world: Arc<World>,
    secrets: RwLock<BTreeMap<String, Secret>>,
}

impl std::fmt::Debug for SecretsManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretsManager")
    }
}

#[derive(Clone)]
struct Secret {
    arn: String,
    version: String,
    text: String,
    created: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct CreateSecret {
    name: Option<String>,
    secret_string: Option<String>,
    /// Becomes the version's id; SDKs send one of their own.
    client_request_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct GetSecretValue {
    secret_id: Option<String>,
}

impl SecretsManager {
    /// No secrets yet.
    pub fn new(world: &Arc<World>) -> Self {
        Self { world: Arc::clone(world), secrets: RwLock::default() }
    }

    /// Answers one operation of the JSON protocol.
    ///
    /// # Errors
    /// AWS's codes.
    pub fn call(&self, operation: &str, input: Value) -> Answer<Value> {
        match operation {
            "CreateSecret" => self.create(crate::input::read(input, INVALID)?),
            "GetSecretValue" => self.value(&crate::input::read(input, INVALID)?),
            _ => Err(ServiceError::unknown_operation("secretsmanager", operation)),
        }
    }

    fn create(&self, input: CreateSecret) -> Answer<Value> {
        let name = input.name.unwrap_or_default();
        crate::input::check_length(INVALID, "name", Some(&name), 1..=512)?;
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c)) {
            let what = "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!";
            return Err(ServiceError::bad(INVALID, what));
        }
        let text = input.secret_string.unwrap_or_default();
        crate::input::check_length(INVALID, "secretString", Some(&text), 1..=65_536)?;
        crate::input::check_length(INVALID, "clientRequestToken", input.client_request_token.as_deref(), 32..=64)?;
        let mut secrets = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        if secrets.contains_key(&name) {
            let what = format!("The operation failed because the secret {name} already exists.");
            return Err(ServiceError::bad("ResourceExistsException", what));
        }
        // Six more characters tell a secret from one of the same name that was deleted.
        let arn = self.world.arn("secretsmanager", &format!("secret:{name}-{}", self.world.hex(6)));
        let version = input.client_request_token.unwrap_or_else(|| self.world.uuid());
        let created = self.world.now().as_second();
        let answer = json!({ "ARN": arn, "Name": name, "VersionId": version });
        secrets.insert(name, Secret { arn, version, text, created });
        Ok(answer)
    }

    fn value(&self, input: &GetSecretValue) -> Answer<Value> {
        let id = input.secret_id.as_deref().unwrap_or_default();
        crate::input::check_length(INVALID, "secretId", Some(id), 1..=2048)?;
        let secrets = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
        let found = secrets.iter().find(|(name, secret)| *name == id || secret.arn == id);
        let Some((name, secret)) = found else {
            let what = "Secrets Manager can't find the specified secret.";
            return Err(ServiceError::bad("ResourceNotFoundException", what));
        };
        Ok(json!({
            "ARN": secret.arn, "Name": name, "VersionId": secret.version, "SecretString": secret.text,
            "VersionStages": ["AWSCURRENT"], "CreatedDate": secret.created,
        }))
    }
}
