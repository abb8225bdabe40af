//! The shell with real commands.

use super::*;
use crate::codebuild::transcript::LogTarget;
use crate::logs::Logs;
use crate::world::World;
use std::sync::Arc;

struct Bench {
    _dir: tempfile::TempDir,
    logs: Arc<Logs>,
    transcript: Transcript,
    shell: BuildShell,
}

fn bench(shell: Shell) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    // A folder with everything that a careless driver would trip over.
    let folder = dir.path().join("it's a $folder");
    std::fs::create_dir_all(folder.join("src")).unwrap();
    let world = Arc::new(World::new(dir.path().to_owned(), "eu-west-1", 1));
    let logs = Arc::new(Logs::open(&world).unwrap());
    let target = LogTarget { group: "g".to_owned(), stream: "s".to_owned() };
    let transcript = Transcript::new(&world, &logs, Some(target));
    let setup = Setup {
        shell,
        begin_in: folder.join("src"),
        folder,
        environment: vec![
            ("PATH".to_owned(), std::env::var("PATH").unwrap()),
            ("CODEBUILD_BUILD_SUCCEEDING".to_owned(), "1".to_owned()),
        ],
        mark: "signalbox-mark-0123456789".to_owned(),
    };
    Bench { _dir: dir, logs, transcript, shell: BuildShell::new(setup) }
}

impl Bench {
    async fn run(&mut self, command: &str) -> i32 {
        self.shell.run(command, &mut self.transcript).await.unwrap()
    }

    fn output(&self) -> Vec<String> {
        self.logs.events("g", "s").into_iter().map(|event| event.message).collect()
    }
}

fn alive(pid: &str) -> bool {
    // A zombie has ended; in a container nobody may be there to collect it.
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}

#[tokio::test]
async fn directory_variables_and_functions_carry_over_between_commands() {
    for shell in [Shell::Sh, Shell::Bash] {
        let mut bench = bench(shell);
        assert_eq!(bench.run("mkdir deep && cd deep").await, 0);
        assert_eq!(bench.run("PLAIN=plain; export SHOWN=shown; f() { printf 'f(%s)' \"$1\"; }").await, 0);
        assert_eq!(bench.run("f x; echo \" $PLAIN $(sh -c 'echo $SHOWN') ${PWD##*/}\"").await, 0);
        assert_eq!(bench.output(), ["f(x) plain shown deep"], "{shell:?}");
    }
}

#[tokio::test]
async fn statuses_come_through_and_a_shell_that_was_ended_has_a_successor_with_its_state() {
    for shell in [Shell::Sh, Shell::Bash] {
        let mut bench = bench(shell);
        assert_eq!(bench.run("false").await, 1);
        assert_eq!(bench.run("sh -c 'exit 7'").await, 7);
        assert_eq!(bench.run("mkdir deep; cd deep; export KEPT=\"it's kept\"").await, 0);
        assert_eq!(bench.run("exit 3").await, 3);
        assert_eq!(bench.run("exit 0").await, 0);
        assert_eq!(bench.run("set -e\nfalse\necho never").await, 1);
        assert_ne!(bench.run("echo 'never closed").await, 0);
        assert_ne!(bench.run("nonsense-that-is-not-there").await, 0);
        assert_eq!(bench.run("kill -9 $$").await, 137);
        assert_eq!(bench.run("echo \"$KEPT ${PWD##*/}\"").await, 0);
        let output = bench.output();
        assert_eq!(output.last().unwrap(), "it's kept deep", "{shell:?}: {output:?}");
        assert!(!output.iter().any(|line| line.contains("signalbox-mark") || line == "never"), "{output:?}");
    }
}

#[tokio::test]
async fn both_outputs_interleave_and_tracing_does_not_confuse_the_marks() {
    for shell in [Shell::Sh, Shell::Bash] {
        let mut bench = bench(shell);
        assert_eq!(bench.run("echo one; echo two >&2; printf three").await, 0);
        assert_eq!(bench.run("set -x; false").await, 1);
        assert_eq!(bench.run("true").await, 0);
        assert_eq!(bench.run("exit 5").await, 5);
        let output = bench.output();
        assert_eq!(output[..3], ["one", "two", "three"], "{shell:?}: {output:?}");
        assert!(output.iter().any(|line| line.ends_with("+ false")), "{output:?}");
    }
}

#[tokio::test]
async fn a_command_reads_nothing_and_sees_whether_the_build_succeeds() {
    let mut bench = bench(Shell::Sh);
    assert_eq!(bench.run("cat; echo \"$CODEBUILD_BUILD_SUCCEEDING\"").await, 0);
    bench.shell.build_fails();
    assert_eq!(bench.run("sh -c 'echo $CODEBUILD_BUILD_SUCCEEDING'").await, 0);
    assert_eq!(bench.output(), ["1", "0"]);
}

#[tokio::test]
async fn a_shell_that_is_killed_between_two_commands_is_replaced() {
    let mut bench = bench(Shell::Sh);
    assert_eq!(bench.run("echo $$; (sleep 0.05; kill -9 $$) &").await, 0);
    let pid = bench.output()[0].clone();
    let deadline = Instant::now() + Duration::from_secs(5);
    while alive(&pid) {
        assert!(Instant::now() < deadline, "the shell {pid} still lives");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bench.run("echo again").await, 0);
    assert_eq!(bench.output()[1], "again");
}

#[tokio::test]
async fn what_a_command_leaves_behind_ends_with_the_build_and_an_exit_trap_speaks() {
    let mut bench = bench(Shell::Sh);
    assert_eq!(bench.run("(sleep 600 & echo $!; wait) & sleep 0.1; trap 'echo goodbye' EXIT").await, 0);
    let pid = bench.output()[0].clone();
    assert!(alive(&pid));
    let Bench { logs, mut transcript, shell, _dir } = bench;
    shell.end(&mut transcript).await;
    let deadline = Instant::now() + Duration::from_secs(5);
    while alive(&pid) {
        assert!(Instant::now() < deadline, "the grandchild {pid} still lives");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(logs.events("g", "s").last().unwrap().message, "goodbye");
}

#[tokio::test]
async fn a_dropped_run_kills_the_whole_group() {
    let mut bench = bench(Shell::Sh);
    let hang = bench.run("sh -c 'sleep 600 & echo $!; wait'");
    assert!(tokio::time::timeout(Duration::from_millis(300), hang).await.is_err(), "it hangs");
    let pid = bench.output()[0].clone();
    drop(bench.shell);
    let deadline = Instant::now() + Duration::from_secs(5);
    while alive(&pid) {
        assert!(Instant::now() < deadline, "the grandchild {pid} still lives");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_process_has_no_secret_in_its_arguments_and_nothing_of_ours_in_its_environment() {
    let mut bench = bench(Shell::Sh);
    bench.shell.setup.environment.push(("AWS_SECRET_ACCESS_KEY".to_owned(), "hush".to_owned()));
    let command = bench.shell.command(Path::new("driver"));
    let shown: Vec<_> = command.as_std().get_args().collect();
    assert_eq!(shown, ["driver"]);
    assert_eq!(bench.run("env | cut -d= -f1 | sort | tr '\\n' ' '").await, 0);
    let names = bench.output().concat();
    let allowed = ["AWS_SECRET_ACCESS_KEY", "CODEBUILD_BUILD_SUCCEEDING", "OLDPWD", "PATH", "PWD", "SHLVL", "_"];
    assert!(names.split_whitespace().all(|name| allowed.contains(&name)), "{names}");
}
