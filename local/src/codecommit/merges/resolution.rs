//! How the caller wants conflicts resolved: checked, with the code that AWS answers when it makes no sense.

use std::collections::BTreeMap;

use serde::Deserialize;
use signalbox_events::ConflictResolution;

use super::super::names::check_path;
use super::super::tree::Mode;
use super::super::writes::decode;
use super::How;
use crate::error::{Answer, ServiceError};

/// Most entries; AWS has a limit and does not say which.
const MOST_ENTRIES: usize = 1000;

/// `ConflictResolution` of the model.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::codecommit) struct RawResolution {
    replace_contents: Option<Vec<ReplaceContents>>,
    delete_files: Option<Vec<DeleteFile>>,
    set_file_modes: Option<Vec<SetFileMode>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ReplaceContents {
    file_path: Option<String>,
    replacement_type: Option<String>,
    content: Option<String>,
    file_mode: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DeleteFile {
    file_path: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SetFileMode {
    file_path: Option<String>,
    file_mode: Option<String>,
}

/// What an operation answers to a file mode that is missing: the merges of pull requests know no code for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::codecommit) enum FileModeMissing {
    HasACode,
    IsInvalid,
}

/// What is to become of the paths that conflict.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::codecommit) struct Resolution(pub(super) BTreeMap<String, Way>);

/// What is to become of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    Keep(Version, Option<Mode>),
    Write(Vec<u8>, Option<Mode>),
    Delete,
    /// The lines as they merge, with this mode.
    SetMode(Mode),
}

/// One of the three versions of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Base,
    Source,
    Destination,
}

impl RawResolution {
    pub(in crate::codecommit) fn check(raw: Option<Self>, how: How, missing: FileModeMissing) -> Answer<Resolution> {
        let Some(raw) = raw else { return Ok(Resolution::default()) };
        let replace = raw.replace_contents.unwrap_or_default();
        let delete = raw.delete_files.unwrap_or_default();
        let modes = raw.set_file_modes.unwrap_or_default();
        let count = replace.len() + delete.len() + modes.len();
        if count > MOST_ENTRIES {
            return Err(ServiceError::bad(
                "MaximumConflictResolutionEntriesExceededException",
                format!("{count} entries are more than {MOST_ENTRIES}"),
            ));
        }
        let mut ways = BTreeMap::new();
        let mut add = |path: String, way: Way| {
            if ways.contains_key(&path) {
                return Err(ServiceError::bad(
                    "MultipleConflictResolutionEntriesException",
                    format!("{path} has more than one entry"),
                ));
            }
            ways.insert(path, way);
            Ok(())
        };
        for entry in replace {
            let path = check_path(entry.file_path)?;
            let way = check_replacement(&path, entry.replacement_type, entry.content, entry.file_mode.as_deref())?;
            add(path, way)?;
        }
        for entry in delete {
            add(check_path(entry.file_path)?, Way::Delete)?;
        }
        for entry in modes {
            let path = check_path(entry.file_path)?;
            let mode = entry.file_mode.ok_or_else(|| {
                let code = match missing {
                    FileModeMissing::HasACode => "FileModeRequiredException",
                    FileModeMissing::IsInvalid => "InvalidFileModeException",
                };
                ServiceError::bad(code, format!("the file mode of {path} is missing"))
            })?;
            add(path, Way::SetMode(Mode::check(&mode)?))?;
        }
        if !ways.is_empty() && how.strategy != ConflictResolution::Automerge {
            return Err(ServiceError::bad(
                "InvalidConflictResolutionException",
                "conflicts are resolved by entries only with the strategy AUTOMERGE",
            ));
        }
        Ok(Resolution(ways))
    }
}

fn check_replacement(path: &str, kind: Option<String>, content: Option<String>, mode: Option<&str>) -> Answer<Way> {
    let kind = kind.filter(|kind| !kind.is_empty()).ok_or_else(|| {
        ServiceError::bad("ReplacementTypeRequiredException", format!("the replacement type of {path} is missing"))
    })?;
    let mode = mode.map(Mode::check).transpose()?;
    let version = match kind.as_str() {
        "KEEP_BASE" => Version::Base,
        "KEEP_SOURCE" => Version::Source,
        "KEEP_DESTINATION" => Version::Destination,
        "USE_NEW_CONTENT" => {
            let content = content.ok_or_else(|| {
                ServiceError::bad("ReplacementContentRequiredException", format!("the content of {path} is missing"))
            })?;
            return Ok(Way::Write(decode(path, &content)?, mode));
        }
        other => {
            return Err(ServiceError::bad(
                "InvalidReplacementTypeException",
                format!("{other:?} is no replacement type"),
            ));
        }
    };
    if content.is_some() {
        return Err(ServiceError::bad(
            "InvalidReplacementContentException",
            format!("{path} has a content, and {kind} takes none"),
        ));
    }
    Ok(Way::Keep(version, mode))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(resolution: Value, strategy: &str) -> Result<Resolution, String> {
        let how = How::check(Some("LINE_LEVEL"), Some(strategy)).unwrap();
        let raw = serde_json::from_value(resolution).unwrap();
        RawResolution::check(Some(raw), how, FileModeMissing::HasACode).map_err(|error| error.code)
    }

    #[test]
    fn each_path_has_one_way_out_and_only_with_automerge() {
        let good = json!({
            "replaceContents": [
                { "filePath": "a", "replacementType": "KEEP_SOURCE" },
                { "filePath": "b", "replacementType": "USE_NEW_CONTENT", "content": "eA==", "fileMode": "EXECUTABLE" },
            ],
            "deleteFiles": [{ "filePath": "c" }],
            "setFileModes": [{ "filePath": "d", "fileMode": "NORMAL" }],
        });
        let ways = check(good.clone(), "AUTOMERGE").unwrap().0;
        assert_eq!(ways["a"], Way::Keep(Version::Source, None));
        assert_eq!(ways["b"], Way::Write(b"x".to_vec(), Some(Mode::Executable)));
        assert_eq!((&ways["c"], &ways["d"]), (&Way::Delete, &Way::SetMode(Mode::Normal)));
        assert_eq!(check(good, "NONE").unwrap_err(), "InvalidConflictResolutionException");
        assert!(check(json!({}), "NONE").unwrap().0.is_empty());
    }

    #[test]
    fn every_mistake_has_its_own_code() {
        let replace = |entry: Value| json!({ "replaceContents": [entry] });
        for (resolution, code) in [
            (replace(json!({ "replacementType": "KEEP_BASE" })), "PathRequiredException"),
            (replace(json!({ "filePath": "../a", "replacementType": "KEEP_BASE" })), "InvalidPathException"),
            (replace(json!({ "filePath": "a" })), "ReplacementTypeRequiredException"),
            (replace(json!({ "filePath": "a", "replacementType": "MINE" })), "InvalidReplacementTypeException"),
            (
                replace(json!({ "filePath": "a", "replacementType": "USE_NEW_CONTENT" })),
                "ReplacementContentRequiredException",
            ),
            (
                replace(json!({ "filePath": "a", "replacementType": "KEEP_BASE", "content": "eA==" })),
                "InvalidReplacementContentException",
            ),
            (
                replace(json!({ "filePath": "a", "replacementType": "KEEP_BASE", "fileMode": "X" })),
                "InvalidFileModeException",
            ),
            (json!({ "setFileModes": [{ "filePath": "a" }] }), "FileModeRequiredException"),
            (
                json!({ "deleteFiles": [{ "filePath": "a" }, { "filePath": "a" }] }),
                "MultipleConflictResolutionEntriesException",
            ),
            (
                json!({ "deleteFiles": vec![json!({ "filePath": "a" }); 1001] }),
                "MaximumConflictResolutionEntriesExceededException",
            ),
        ] {
            assert_eq!(check(resolution, "AUTOMERGE").unwrap_err(), code);
        }
    }
}
