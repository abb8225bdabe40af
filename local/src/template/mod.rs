//! The template: `template.yaml` read, its intrinsics resolved, its resources made.
