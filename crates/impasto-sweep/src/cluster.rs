//! Sweeps on more than one machine: a Slurm array script, or one command a line.

use std::fmt::Write as _;

/// How a Slurm array is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlurmOptions {
    /// Cells that one task of the array paints.
    pub pack: usize,
    /// Tasks that run at the same time; none: as many as Slurm likes.
    pub limit: Option<usize>,
    /// The most time of a task, as `--time` takes it.
    pub time: Option<String>,
    pub partition: Option<String>,
    /// GPUs of a task; 0: it runs on the CPU.
    pub gpus: u32,
    pub cpus: Option<u32>,
    /// Further lines for `#SBATCH`.
    pub directives: Vec<String>,
}

/// What every command of a sweep begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLines {
    /// The program, as an absolute path.
    pub program: String,
    /// The sweep's folder, as an absolute path.
    pub folder: String,
    /// Further arguments, such as `--device cpu`.
    pub arguments: Vec<String>,
    /// How many cells there are.
    pub count: usize,
}

/// How long before a time limit a task is told to save, in seconds.
const NOTICE: u32 = 60;

impl CommandLines {
    fn command(&self, cells: &str) -> String {
        let mut command = format!(
            "{} sweep {} --headless",
            shell_word(&self.program),
            shell_word(&self.folder)
        );
        for argument in &self.arguments {
            let _ = write!(command, " {}", shell_word(argument));
        }
        let _ = write!(command, " --cells {cells}");
        command
    }
}

/// One command a line for every so many cells. Each can be run any number of times,
/// anywhere the folder is: what is done is skipped.
pub fn commands(lines: &CommandLines, pack: usize) -> String {
    let pack = pack.max(1);
    let mut text = String::new();
    for first in (0..lines.count).step_by(pack) {
        let last = (first + pack).min(lines.count) - 1;
        let cells = match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        };
        text += &lines.command(&cells);
        text.push('\n');
    }
    text
}

/// A script for `sbatch`: an array whose tasks paint `pack` cells each. A task that is
/// told to end, by its time limit or by preemption, writes a checkpoint and asks to be
/// queued again; so does one whose program was killed, up to three times.
pub fn slurm_script(lines: &CommandLines, options: &SlurmOptions) -> String {
    let pack = options.pack.max(1);
    let tasks = lines.count.div_ceil(pack).max(1);
    let limit = options
        .limit
        .map_or_else(String::new, |limit| format!("%{limit}"));
    let mut script = String::from("#!/bin/bash\n");
    let mut directive = |text: String| {
        let _ = writeln!(script, "#SBATCH {text}");
    };
    directive("--job-name=impasto".to_owned());
    directive(format!("--array=0-{}{limit}", tasks - 1));
    directive(format!(
        "--output={}/logs/%A_%a.log",
        escaped(&lines.folder)
    ));
    directive("--open-mode=append".to_owned());
    directive("--requeue".to_owned());
    // To this script alone: it passes the signal on and waits.
    directive(format!("--signal=B:TERM@{NOTICE}"));
    if let Some(time) = &options.time {
        directive(format!("--time={time}"));
    }
    if let Some(partition) = &options.partition {
        directive(format!("--partition={partition}"));
    }
    if options.gpus > 0 {
        directive(format!("--gpus={}", options.gpus));
    }
    if let Some(cpus) = options.cpus {
        directive(format!("--cpus-per-task={cpus}"));
    }
    for text in &options.directives {
        directive(text.clone());
    }
    let last = lines.count.saturating_sub(1);
    let command = lines.command("\"$first-$last\"");
    let _ = write!(
        script,
        "
first=$((SLURM_ARRAY_TASK_ID * {pack}))
last=$((first + {pack} - 1))
((last > {last})) && last={last}

# On SIGTERM the sweep writes checkpoints and ends; queued again it goes on from them.
stopped=
trap 'stopped=1; kill -TERM \"$child\" 2>/dev/null' TERM
{command} &
child=$!
wait \"$child\"
code=$?
# A wait that a signal interrupted ends before its child does.
while kill -0 \"$child\" 2>/dev/null; do
    wait \"$child\"
    code=$?
done
# Killed, as for want of memory: its cells are resumed, but not for ever.
((code > 128 && ${{SLURM_RESTART_COUNT:-0}} < 3)) && stopped=1
if [[ -n $stopped ]]; then
    scontrol requeue \"${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}\"
fi
exit \"$code\"
"
    );
    script
}

/// A text as one word for a POSIX shell.
pub fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%,:=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A file name in a directive of Slurm, which takes `%` for a field and a blank for an end.
fn escaped(path: &str) -> String {
    let path = path.replace('%', "%%");
    match path.contains([' ', '"', '\'']) {
        true => format!("\"{}\"", path.replace('"', "\\\"")),
        false => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(count: usize) -> CommandLines {
        CommandLines {
            program: "/opt/impasto".to_owned(),
            folder: "/data/it's mine".to_owned(),
            arguments: vec!["--device".to_owned(), "cpu".to_owned()],
            count,
        }
    }

    #[test]
    fn every_cell_is_in_one_command() {
        let text = commands(&lines(7), 3);
        assert_eq!(
            text,
            "/opt/impasto sweep '/data/it'\\''s mine' --headless --device cpu --cells 0-2\n\
             /opt/impasto sweep '/data/it'\\''s mine' --headless --device cpu --cells 3-5\n\
             /opt/impasto sweep '/data/it'\\''s mine' --headless --device cpu --cells 6\n"
        );
        assert_eq!(commands(&lines(0), 1), "");
        assert_eq!(commands(&lines(2), 0).lines().count(), 2);
    }

    #[test]
    fn a_script_is_one_that_bash_reads() {
        let options = SlurmOptions {
            pack: 20,
            limit: Some(4),
            time: Some("01:00:00".to_owned()),
            partition: None,
            gpus: 1,
            cpus: Some(8),
            directives: vec!["--account=art".to_owned()],
        };
        let script = slurm_script(&lines(45), &options);
        for line in [
            "#SBATCH --array=0-2%4",
            "#SBATCH --requeue",
            "#SBATCH --gpus=1",
            "#SBATCH --cpus-per-task=8",
            "#SBATCH --account=art",
            "((last > 44)) && last=44",
        ] {
            assert!(script.lines().any(|it| it == line), "{line} in {script}");
        }
        let mut bash = std::process::Command::new("bash");
        let checked = bash.args(["-n", "-c", &script]).status().unwrap();
        assert!(checked.success());
    }
}
