//! The folder of all runs.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use impasto_core::text::display_path;

use super::run::{lock_folder, name_of};
use super::{NewRun, Result, Run, RunError, RunName, clock, files, name};

/// How old a folder must be that a process left behind half made, or half
/// removed, before it is cleared away.
const LEFT_BEHIND: Duration = Duration::from_secs(24 * 3600);
/// How many names are suggested for one that is not there.
const MAX_NEAR: usize = 5;

/// The folder of all runs; each is a folder in it.
#[derive(Clone, Debug)]
pub struct Runs {
    root: PathBuf,
}

/// A run in the list.
#[derive(Debug)]
pub enum RunEntry {
    Run(Box<Run>),
    /// A folder that cannot be read as a run, and why.
    Broken {
        name: RunName,
        error: RunError,
    },
}

impl RunEntry {
    pub fn name(&self) -> &RunName {
        match self {
            Self::Run(run) => run.name(),
            Self::Broken { name, .. } => name,
        }
    }
}

impl Runs {
    /// The runs at their usual place: `$XDG_DATA_HOME/impasto/runs`, or
    /// `~/.local/share/impasto/runs`. The folder need not exist.
    ///
    /// # Errors
    /// [`RunError::NoHome`].
    pub fn open() -> Result<Self> {
        files::runs_folder().map(Self::at).ok_or(RunError::NoHome)
    }

    /// The runs in a folder of choice, which need not exist.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder that holds the runs' folders.
    pub fn folder(&self) -> &Path {
        &self.root
    }

    /// Makes a run, named by its pictures and the time, and by a number if that
    /// name is taken. It appears whole or not at all.
    ///
    /// # Errors
    /// As [`Run::create_at`].
    pub fn create(&self, new: &NewRun) -> Result<Run> {
        let created = clock::now();
        let (name, place) = self.claim(&new.name(created))?;
        let made = Run::make(&place, name, created, new);
        if made.is_err() {
            // It goes only if it is empty.
            let _ = fs::remove_dir(&place);
        }
        made
    }

    /// Makes an empty folder under the first of a name's variants that is free.
    /// An empty folder is no run yet.
    fn claim(&self, first: &RunName) -> Result<(RunName, PathBuf)> {
        let unwritten = |cause| RunError::not_written(&self.root, cause);
        let root = std::path::absolute(&self.root).map_err(unwritten)?;
        if let Some(parent) = root.parent() {
            fs::create_dir_all(parent).map_err(unwritten)?;
        }
        match files::make_folder(&root) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(unwritten(error)),
            _ => {}
        }
        let mut name = first.clone();
        for number in 2..10_000 {
            let place = root.join(name.as_str());
            match files::make_folder(&place) {
                Ok(()) => return Ok((name, place)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    name = first.numbered(number);
                }
                Err(error) => return Err(RunError::not_written(&place, error)),
            }
        }
        Err(unwritten(ErrorKind::AlreadyExists.into()))
    }

    /// Every run, the newest first, and after them the folders that cannot be
    /// read.
    ///
    /// # Errors
    /// When the folder is there but cannot be read.
    pub fn all(&self) -> Result<Vec<RunEntry>> {
        let mut entries: Vec<RunEntry> = self
            .names()?
            .into_iter()
            .map(|name| self.entry(name))
            .collect();
        entries.sort_by_cached_key(|entry| {
            let created = match entry {
                RunEntry::Run(run) => Some(run.record().created),
                RunEntry::Broken { .. } => None,
            };
            std::cmp::Reverse((created, entry.name().clone()))
        });
        Ok(entries)
    }

    fn entry(&self, name: RunName) -> RunEntry {
        match Run::open(&self.root.join(name.as_str())) {
            Ok(run) => RunEntry::Run(Box::new(run)),
            Err(error) => RunEntry::Broken { name, error },
        }
    }

    /// The run that was begun last.
    ///
    /// # Errors
    /// [`RunError::NoRuns`], and when the folder cannot be read.
    pub fn latest(&self) -> Result<Run> {
        let runs = self.all()?.into_iter().find_map(|entry| match entry {
            RunEntry::Run(run) => Some(*run),
            RunEntry::Broken { .. } => None,
        });
        runs.ok_or(RunError::NoRuns)
    }

    /// The run of that name, or the only one whose name begins so.
    ///
    /// # Errors
    /// As [`name`](Self::name) and [`Run::open`].
    pub fn find(&self, name: &str) -> Result<Run> {
        Run::open(&self.root.join(self.name(name)?.as_str()))
    }

    /// The name of a run, which may be a broken one, by its beginning.
    ///
    /// # Errors
    /// [`RunError::Missing`] with names that are near, [`RunError::Ambiguous`],
    /// [`RunError::NoRuns`], and when the folder cannot be read.
    pub fn name(&self, wanted: &str) -> Result<RunName> {
        let names = self.names()?;
        if names.is_empty() {
            return Err(RunError::NoRuns);
        }
        if let Some(exact) = names.iter().find(|name| name.as_str() == wanted) {
            return Ok(exact.clone());
        }
        let begins = |name: &&RunName| !wanted.is_empty() && name.as_str().starts_with(wanted);
        let found: Vec<&RunName> = names.iter().filter(begins).collect();
        match found.as_slice() {
            [one] => Ok((*one).clone()),
            [] => Err(RunError::Missing {
                name: name::shown(wanted),
                near: near(wanted, &names),
            }),
            several => Err(RunError::Ambiguous {
                name: name::shown(wanted),
                names: several
                    .iter()
                    .take(MAX_NEAR)
                    .map(ToString::to_string)
                    .collect(),
            }),
        }
    }

    /// The names of all folders that could be runs. One that is empty is a run
    /// in the making.
    fn names(&self) -> Result<Vec<RunName>> {
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(RunError::unreadable(&self.root, error)),
        };
        let mut names: Vec<RunName> = entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let path = entry.path();
                // A link is no run's own folder.
                let folder = entry.file_type().ok()?.is_dir();
                (folder && !files::is_free(&path).unwrap_or(false)).then(|| name_of(&path))?
            })
            .collect();
        names.sort();
        Ok(names)
    }

    /// What a run takes on the disk, in bytes.
    pub fn bytes(&self, name: &RunName) -> u64 {
        files::bytes_in(&self.root.join(name.as_str()))
    }

    /// Removes a run with all that is in its folder.
    ///
    /// # Errors
    /// [`RunError::Busy`] while it is being painted; [`RunError::NotAFolder`]
    /// where a link or a file lies in its place; and when it cannot be removed.
    pub fn delete(&self, name: &RunName) -> Result<()> {
        let folder = self.root.join(name.as_str());
        let found = fs::symlink_metadata(&folder);
        let found = found.map_err(|cause| RunError::unreadable(&folder, cause))?;
        if !found.is_dir() {
            return Err(RunError::NotAFolder {
                folder: display_path(&folder),
            });
        }
        let unwritten = |cause| RunError::not_written(&folder, cause);
        // Held until all is gone, so that nobody begins to paint meanwhile.
        let _lock = lock_folder(&folder, name)?;
        // Aside first: what cannot be removed in one go must not look like a
        // run. Whatever slipped into its place, links are not followed.
        let aside = tempfile::Builder::new()
            .prefix(files::STAGING_PREFIX)
            .suffix(".gone")
            .tempdir_in(&self.root)
            .map_err(unwritten)?;
        fs::rename(&folder, aside.path().join(name.as_str())).map_err(unwritten)?;
        aside.close().map_err(unwritten)
    }

    /// Clears away what processes that were killed left behind more than a day
    /// ago.
    pub fn sweep(&self) {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            let ours = name.to_str().is_some_and(|name| {
                name.starts_with(files::STAGING_PREFIX)
                    && [".part", ".gone"].iter().any(|end| name.ends_with(end))
            });
            let old = entry.metadata().is_ok_and(|found| {
                let changed = found.modified().unwrap_or_else(|_| SystemTime::now());
                found.is_dir() && changed.elapsed().is_ok_and(|age| age > LEFT_BEHIND)
            });
            if ours && old {
                // What stays is met again the next time.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// The names that are most like the one that was asked for: those that hold
/// it, then those with few letters wrong.
fn near(wanted: &str, names: &[RunName]) -> Vec<String> {
    // Comparing takes time by the square of the length.
    let wanted: String = wanted.chars().take(RunName::MAX_LENGTH).collect();
    let wanted = wanted.to_lowercase();
    let mut found: Vec<(usize, &RunName)> = names
        .iter()
        .filter_map(|name| {
            let holds = !wanted.is_empty() && name.as_str().contains(&wanted);
            // Most people type a beginning. Names are ASCII.
            let beginning = name.as_str().get(..wanted.len());
            let slips = [Some(name.as_str()), beginning]
                .into_iter()
                .flatten()
                .map(|name| strsim::damerau_levenshtein(name, &wanted))
                .min()
                .unwrap_or(usize::MAX);
            let close = !wanted.is_empty() && slips.saturating_mul(3) <= wanted.len();
            match holds {
                true => Some((0, name)),
                false => close.then_some((slips, name)),
            }
        })
        .collect();
    found.sort();
    let names = found.into_iter().take(MAX_NEAR);
    names.map(|(_, name)| name.to_string()).collect()
}
