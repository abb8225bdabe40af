//! Secrets, read.

use aws_sdk_secretsmanager::Client;

use crate::failure::sort;
use crate::{Aws, Failure};

/// Reads secrets.
#[derive(Debug, Clone)]
pub struct Secrets {
    client: Client,
}

/// A secret's text, which shows itself nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretText(***)")
    }
}

impl Secrets {
    /// A reader.
    pub fn new(aws: &Aws) -> Self {
        Self { client: Client::new(&aws.config) }
    }

    /// The current text of a secret.
    ///
    /// # Errors
    /// As [`Failure`] sorts them; a secret of bytes is [`Failure::Refused`]. None of them holds the secret.
    pub async fn text(&self, name: &str) -> Result<SecretText, Failure> {
        let doing = format!("secretsmanager:GetSecretValue on {name}");
        let sent = self.client.get_secret_value().secret_id(name).send().await;
        let answer = sent.map_err(|error| sort(&doing, error))?;
        let text = answer.secret_string.filter(|text| !text.is_empty());
        text.map(SecretText)
            .ok_or_else(|| Failure::refused(doing, "it is empty, or bytes; put the token there as text"))
    }
}
