//! Repositories made by `git fast-import`, the same every time, kept below the target folder and used again.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, ensure};

use crate::git;

/// What a repository is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Its name.
    pub(crate) name: &'static str,
    commits: u32,
    branches: u32,
    tags: u32,
    /// The bytes that a commit changes.
    blob: u32,
    content: Content,
    /// How many times faster than git the push of one commit must be; it takes as long in a larger repository, and git does not.
    pub(crate) times_faster: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// Files of text that grow and change by some lines.
    Text,
    /// What nothing can compress.
    Noise,
}

/// A repository that is there.
#[derive(Debug)]
pub(crate) struct Generated {
    pub(crate) shape: Shape,
    pub(crate) dir: PathBuf,
}

impl Shape {
    /// Two with many refs, of which one has three times the history of the other, and a large one.
    pub(crate) fn all(small: bool) -> [Self; 3] {
        let by = if small { 20 } else { 1 };
        let history = Self {
            name: "history",
            commits: 60_000 / by,
            branches: 400 / by,
            tags: 600 / by,
            blob: 6_000,
            content: Content::Text,
            times_faster: Some(50.0),
        };
        [
            Self { name: "third", commits: history.commits / 3, times_faster: None, ..history },
            history,
            Self {
                name: "bulk",
                commits: 2_000 / by,
                branches: 20,
                tags: 20,
                blob: 512 * 1024,
                content: Content::Noise,
                times_faster: Some(50.0),
            },
        ]
    }
}

impl Generated {
    /// Makes it, unless it is there already.
    pub(crate) fn make(folder: &Path, shape: Shape) -> anyhow::Result<Self> {
        let dir = folder.join(format!("{}-{}-{}.git", shape.name, shape.commits, shape.blob));
        let generated = Self { shape, dir };
        if generated.dir.join("packed-refs").exists() {
            return Ok(generated);
        }
        eprintln!("generating {} ({} commits) ...", shape.name, shape.commits);
        let _half_a_one = std::fs::remove_dir_all(&generated.dir);
        let mut init = git::command(&[]);
        init.args(["init", "--quiet", "--bare", "--initial-branch=main"]).arg(&generated.dir);
        git::told(init)?;
        generated.import()?;
        // Last, because it says that all is there.
        git::run(&generated.dir, &["pack-refs", "--all"])?;
        Ok(generated)
    }

    /// What it is, for a person.
    pub(crate) fn told(&self) -> anyhow::Result<String> {
        let commits = git::run(&self.dir, &["rev-list", "--all", "--count"])?;
        let refs = git::run(&self.dir, &["for-each-ref", "--format=."])?.lines().count();
        let size = git::run(&self.dir, &["count-objects", "-v"])?;
        let size = size.lines().find_map(|line| line.strip_prefix("size-pack: ")).unwrap_or("0");
        let megabytes = size.parse::<f64>().unwrap_or_default() * 1024.0 / 1e6;
        Ok(format!("{commits} commits, {refs} refs, {megabytes:.0} MB packed"))
    }

    fn import(&self) -> anyhow::Result<()> {
        // Noise is not compressed, so that making it takes no longer than it must.
        let compression = if self.shape.content == Content::Noise { "0" } else { "1" };
        let settings = [("core.compression".to_owned(), compression.to_owned())];
        let mut import = git::command(&settings);
        import.arg("--git-dir").arg(&self.dir).args(["fast-import", "--quiet"]);
        let mut child = import.stdin(Stdio::piped()).spawn().context("git fast-import cannot be run")?;
        let stdin = child.stdin.take().context("git fast-import has no input")?;
        let mut out = BufWriter::with_capacity(1 << 20, stdin);
        self.write(&mut out)?;
        out.flush()?;
        drop(out);
        ensure!(child.wait()?.success(), "git fast-import failed");
        Ok(())
    }

    fn write(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let Shape { commits, branches, tags, blob, content, .. } = self.shape;
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for number in 1..=commits {
            let time = 1_600_000_000 + u64::from(number) * 600;
            writeln!(out, "commit refs/heads/main\nmark :{number}")?;
            writeln!(out, "committer A Developer <developer@example.com> {time} +0000")?;
            let message = format!("Change number {number}\n");
            write!(out, "data {}\n{message}", message.len())?;
            if number > 1 {
                writeln!(out, "from :{}", number - 1)?;
            }
            let file = random.below(2_000);
            writeln!(out, "M 100644 inline src/part-{}/module-{}/file-{file}.txt", file % 20, file % 150)?;
            let bytes = match content {
                Content::Text => random.text(file, blob),
                Content::Noise => random.noise(blob),
            };
            writeln!(out, "data {}", bytes.len())?;
            out.write_all(&bytes)?;
            out.write_all(b"\n")?;
        }
        for number in 0..branches.saturating_sub(1) {
            let at = 1 + random.below(commits);
            writeln!(out, "reset refs/heads/feature/topic-{number}\nfrom :{at}\n")?;
        }
        for number in 0..tags {
            let at = 1 + u64::from(number) * u64::from(commits) / u64::from(tags).max(1);
            if number % 2 == 0 {
                writeln!(out, "reset refs/tags/build-{number}\nfrom :{at}\n")?;
            } else {
                let message = format!("Version {number}\n");
                writeln!(
                    out,
                    "tag v1.{number}\nfrom :{at}\ntagger A Developer <developer@example.com> 1700000000 +0000"
                )?;
                writeln!(out, "data {}\n{message}", message.len())?;
            }
        }
        Ok(())
    }
}

/// Numbers that look random and are the same every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u32) -> u32 {
        u32::try_from(self.next() % u64::from(limit.max(1))).unwrap_or_default()
    }

    fn noise(&mut self, length: u32) -> Vec<u8> {
        std::iter::repeat_with(|| self.next().to_le_bytes()).take(length as usize / 8).flatten().collect()
    }

    /// A file that is mostly what it was before, with some lines of its own.
    fn text(&mut self, file: u32, length: u32) -> Vec<u8> {
        let mut same = Self(0x1234_5678_9abc_def1 ^ (u64::from(file) << 32) ^ (u64::from(file) + 1));
        let mut text = Vec::with_capacity(length as usize + 64);
        while text.len() < length as usize {
            let word = if self.below(12) == 0 { self.next() } else { same.next() };
            text.extend_from_slice(format!("let value_{:x} = {:x};\n", word % 4096, word >> 40).as_bytes());
        }
        text
    }
}
