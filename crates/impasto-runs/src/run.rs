//! One run: its folder, and what lies where in it.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use impasto_core::job::{Job, JobError, MaskPictures, Overrides, PictureFile, Unassembled};
use impasto_core::picture::{self, MAX_FILE_BYTES, Picture, Source};
use impasto_core::protocol::Step;
use impasto_core::text::display_path;

use super::lock::{self, NoLock, RunLock};
use super::{
    Copied, CopiedMask, FORMAT, Folder, Record, Result, RunError, RunName, RunProgress, RunStatus,
    checkpoint, clock, digest, files, inputs, log, metrics, plot, state,
};

/// The names of the copies' folder and of the charts.
const INPUTS: &str = "inputs";
const LOSSES_PNG: &str = "losses.png";
const LOSSES_SVG: &str = "losses.svg";

/// A run in its folder.
#[derive(Clone, Debug)]
pub struct Run {
    /// From the root of the file system.
    folder: PathBuf,
    name: RunName,
    record: Record,
}

/// What a new run is made of.
#[derive(Clone, Copy, Debug)]
pub struct NewRun<'a> {
    pub job: &'a Job,
    /// Where the preset was found: its name or its file.
    pub preset_name: Option<&'a str>,
    pub overrides: &'a Overrides,
    /// Where the bytes of the pictures are that the job was decoded from, in the order
    /// of [`Job::pictures`]; they keep the names that they have in the job.
    pub files: &'a [PictureFile],
    /// A folder that keeps each picture once for many runs, on the same file system: the
    /// copies are hard links to what is in it.
    pub shared: Option<&'a Path>,
}

impl NewRun<'_> {
    /// The name that the run's pictures and its time give.
    pub(super) fn name(&self, created: u64) -> RunName {
        RunName::for_pictures(created, &self.job.content.path, &self.job.style.path)
    }
}

impl Run {
    /// The name of the finished picture in a run's folder.
    pub const RESULT: &str = files::RESULT;
    /// The name of the picture as it is shown small.
    pub const PREVIEW: &str = files::PREVIEW;
    /// The name of the folder of pictures on the way.
    pub const SNAPSHOTS: &str = files::SNAPSHOTS;

    /// Makes a run in a folder of the user's choice, which must be empty or not
    /// there yet. It is called like the folder, where that is a name for a run.
    ///
    /// # Errors
    /// [`RunError::NotEmpty`]; [`RunError::Changed`] when a picture is not the
    /// one that was decoded; and when something cannot be read or written.
    pub fn create_at(folder: &Path, new: &NewRun) -> Result<Self> {
        let unwritten = |cause| RunError::not_written(folder, cause);
        let mut place = std::path::absolute(folder).map_err(unwritten)?;
        match files::is_free(&place) {
            Ok(true) => {}
            _ => {
                return Err(RunError::NotEmpty {
                    folder: display_path(folder),
                });
            }
        }
        if let Ok(found) = place.canonicalize() {
            place = found;
        }
        let created = clock::now();
        let name = name_of(&place).unwrap_or_else(|| new.name(created));
        let parent = place.parent().unwrap_or(&place);
        fs::create_dir_all(parent).map_err(unwritten)?;
        Self::make(&place, name, created, new)
    }

    /// Makes a run beside its place and moves it there. An empty folder may
    /// lie in that place.
    pub(super) fn make(place: &Path, name: RunName, created: u64, new: &NewRun) -> Result<Self> {
        let unwritten = |cause| RunError::not_written(place, cause);
        // Dropped before it takes its name, it removes itself.
        let staging = tempfile::Builder::new()
            .prefix(files::STAGING_PREFIX)
            .suffix(".part")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(place.parent().unwrap_or(place))
            .map_err(unwritten)?;
        let record = fill(staging.path(), &name, created, new)?;
        fs::rename(staging.path(), place).map_err(unwritten)?;
        // It is not there any more under its first name.
        let _ = staging.keep();
        Ok(Self {
            folder: place.to_owned(),
            name,
            record,
        })
    }

    /// The run in a folder. A run that was moved is called like its folder.
    ///
    /// # Errors
    /// [`RunError::NotARun`], [`RunError::OtherVersion`],
    /// [`RunError::Damaged`], or when `run.json` cannot be read.
    pub fn open(folder: &Path) -> Result<Self> {
        let folder =
            std::path::absolute(folder).map_err(|cause| RunError::unreadable(folder, cause))?;
        let record = Record::read(&folder)?;
        let name = name_of(&folder).unwrap_or_else(|| record.name.clone());
        Ok(Self {
            folder,
            name,
            record,
        })
    }

    /// Removes the folder of a run that could not begin: there is nothing in it to
    /// continue with, only copies of the pictures.
    pub fn discard(self) {
        let _ = fs::remove_dir_all(&self.folder);
    }

    pub fn name(&self) -> &RunName {
        &self.name
    }

    /// What the run is named on the command line: its name where it is among
    /// all others, else its folder. Fit for a shell.
    pub fn called(&self) -> String {
        let usual = files::runs_folder().map(|runs| runs.join(self.name.as_str()));
        match usual {
            Some(place) if place == self.folder => self.name.to_string(),
            _ => {
                let folder = display_path(&self.folder);
                let plain = |c: char| c.is_alphanumeric() || "/._-+@,:".contains(c);
                if folder.chars().all(plain) {
                    format!("--run-dir {folder}")
                } else {
                    format!("--run-dir '{}'", folder.replace('\'', r"'\''"))
                }
            }
        }
    }

    /// The run's folder, as an absolute path.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Opens the run's folder, to read and write what is in it.
    ///
    /// # Errors
    /// When it is gone or cannot be read.
    pub fn open_folder(&self) -> Result<Folder> {
        Folder::open(&self.folder).map_err(|cause| RunError::unreadable(&self.folder, cause))
    }

    /// What was asked for.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The job as it was asked for, with the pictures from the folder.
    ///
    /// # Errors
    /// [`RunError::NotTheCopy`] when a copy is not what was copied, and the
    /// errors of [`picture::load`](impasto_core::picture::load) and [`Job::check`].
    pub fn job(&self) -> Result<Job> {
        let folder = self.open_folder()?.folder(INPUTS);
        let folder = &folder.map_err(|cause| RunError::unreadable(&self.inputs_folder(), cause))?;
        let mut pictures: Vec<Source> = Vec::new();
        for (_, copied) in self.record.pictures() {
            // One that plays several roles is decoded once.
            let same = pictures.iter().find(|it| it.sha256 == copied.sha256);
            pictures.push(match same {
                Some(source) => Source {
                    path: PathBuf::from(&copied.file),
                    ..source.clone()
                },
                None => inputs::load(copied, folder)?,
            });
        }
        let job = self.unassembled().with(pictures);
        let job = job.ok_or(JobError::Incomplete)?;
        job.check()?;
        Ok(job)
    }

    /// The job without its pictures.
    fn unassembled(&self) -> Unassembled {
        let record = &self.record;
        Unassembled {
            preset: record.preset.clone(),
            styles: record.styles().count(),
            has_start: record.start.is_some(),
            compute: record.compute,
            output: record.output.clone(),
        }
    }

    /// As [`job`](Self::job), with pictures that were decoded before, in the order of
    /// [`Job::pictures`]. None if they are not those of this run.
    pub fn job_with(&self, pictures: Vec<Source>) -> Option<Job> {
        let copies = self.record.pictures();
        let same = |(source, (_, copied)): (Source, (String, &Copied))| {
            (source.sha256 == copied.sha256).then(|| Source {
                path: PathBuf::from(&copied.file),
                ..source
            })
        };
        if pictures.len() != copies.len() {
            return None;
        }
        let pictures = pictures.into_iter().zip(copies).map(same);
        let job = self
            .unassembled()
            .with(pictures.collect::<Option<Vec<_>>>()?)?;
        job.check().is_ok().then_some(job)
    }

    /// Takes the right to paint this run, until it is dropped. A `run.json` of an earlier
    /// format becomes one of today's.
    ///
    /// # Errors
    /// [`RunError::Busy`] when another process has it, and when the lock's file or
    /// `run.json` cannot be written.
    pub fn lock(&self) -> Result<RunLock> {
        let lock = lock_folder(&self.folder, &self.name)?;
        self.record.update(&self.open_folder()?)?;
        Ok(lock)
    }

    /// Whether a process paints this run.
    pub fn is_painting(&self) -> bool {
        lock::is_taken(&self.folder)
    }

    /// The number of the process that paints this run.
    pub fn painter_pid(&self) -> Option<u32> {
        lock::holder(&self.folder)
    }

    /// Where the run stands, as it was written last; unknown if that is missing
    /// or damaged.
    pub fn state(&self) -> RunProgress {
        self.open_folder().map_or_else(
            |_| RunProgress::default(),
            |folder| RunProgress::read(&folder),
        )
    }

    /// Writes where the run stands. What `updated` holds is written as it is.
    ///
    /// # Errors
    /// When it cannot be written. What was written before stays.
    pub fn write_state(&self, state: &RunProgress) -> Result<()> {
        write_state(&self.open_folder()?, state)
    }

    /// How the run is doing, judging by its state and its lock.
    pub fn status(&self) -> RunStatus {
        // The lock first: a run that ends meanwhile has written its end.
        let painted = self.is_painting();
        RunStatus::of(self.state().state, painted)
    }

    /// Every step that was written down, in order. Lines that are none are left
    /// out.
    ///
    /// # Errors
    /// When the file is there but cannot be read.
    pub fn metrics(&self) -> Result<Vec<Step>> {
        let steps = metrics::read(&self.open_folder()?);
        steps.map_err(|cause| RunError::unreadable(&self.metrics_path(), cause))
    }

    /// Draws the losses so far into `losses.svg` and `losses.png`.
    ///
    /// # Errors
    /// When the losses cannot be read or the charts not written.
    pub fn write_plots(&self) -> Result<()> {
        let steps = self.metrics()?;
        let title = self.name.as_str();
        let folder = self.open_folder()?;
        let write = |name: &str, bytes: &[u8]| {
            let written = folder.write(name, bytes, false);
            written.map_err(|cause| RunError::not_written(&folder.path().join(name), cause))
        };
        let png = plot::losses_png(&steps, title);
        let mut bytes = io::Cursor::new(Vec::new());
        png.write_to(&mut bytes, image::ImageFormat::Png)
            .map_err(|error| RunError::Unwritable {
                reason: error.to_string(),
            })?;
        write(LOSSES_SVG, plot::losses_svg(&steps, title).as_bytes())?;
        write(LOSSES_PNG, bytes.get_ref())
    }

    /// Reads a picture in the run's folder, such as [`RESULT`](Self::RESULT).
    ///
    /// # Errors
    /// When there is none, it is a link or the like, or it cannot be decoded.
    pub fn picture(&self, name: &str) -> Result<Picture> {
        let path = self.folder.join(name);
        let bytes = self.open_folder()?.read(name, MAX_FILE_BYTES);
        let bytes = bytes.map_err(|cause| RunError::unreadable(&path, cause))?;
        Ok(picture::load_bytes(&bytes, &path)?.picture)
    }

    /// Reads the copy of a picture that went into the run.
    ///
    /// # Errors
    /// As [`picture`](Self::picture), and when it is not the one that was copied.
    pub fn input(&self, copied: &Copied) -> Result<Source> {
        let folder = self.open_folder()?.folder(INPUTS);
        let folder = folder.map_err(|cause| RunError::unreadable(&self.inputs_folder(), cause))?;
        inputs::load(copied, &folder)
    }

    /// What the folder takes on the disk, in bytes.
    pub fn bytes(&self) -> u64 {
        files::bytes_in(&self.folder)
    }

    /// The copy of the content picture.
    pub fn content_path(&self) -> PathBuf {
        self.inputs_folder().join(&self.record.content.copy)
    }

    /// The copy of the style picture.
    pub fn style_path(&self) -> PathBuf {
        self.inputs_folder().join(&self.record.style.copy)
    }

    /// The copy of the picture that painting began from, if there is one.
    pub fn start_path(&self) -> Option<PathBuf> {
        let start = self.record.start.as_ref()?;
        Some(self.inputs_folder().join(&start.copy))
    }

    /// The folder of the pictures' copies.
    pub fn inputs_folder(&self) -> PathBuf {
        self.folder.join(INPUTS)
    }

    /// The finished picture, with its recipe.
    pub fn result_path(&self) -> PathBuf {
        self.folder.join(Self::RESULT)
    }

    /// The picture as it is shown small, 256 pixels at the most.
    pub fn preview_path(&self) -> PathBuf {
        self.folder.join(Self::PREVIEW)
    }

    pub fn snapshots_folder(&self) -> PathBuf {
        self.folder.join(Self::SNAPSHOTS)
    }

    pub fn checkpoint_folder(&self) -> PathBuf {
        self.folder.join(checkpoint::FOLDER)
    }

    /// Whether there is a checkpoint to resume from, be it a broken one.
    pub fn has_checkpoint(&self) -> bool {
        self.open_folder()
            .is_ok_and(|folder| checkpoint::any_in(&folder))
    }

    pub fn metrics_path(&self) -> PathBuf {
        self.folder.join(metrics::FILE)
    }

    pub fn log_path(&self) -> PathBuf {
        self.folder.join(log::FILE)
    }

    pub fn losses_png_path(&self) -> PathBuf {
        self.folder.join(LOSSES_PNG)
    }

    pub fn losses_svg_path(&self) -> PathBuf {
        self.folder.join(LOSSES_SVG)
    }
}

/// Puts everything a new run has into its folder.
fn fill(folder: &Path, name: &RunName, created: u64, new: &NewRun) -> Result<Record> {
    let job = new.job;
    let inputs = folder.join(INPUTS);
    for folder in [&inputs, &folder.join(Run::SNAPSHOTS)] {
        files::make_folder(folder).map_err(|cause| RunError::not_written(folder, cause))?;
    }
    let mut files = new.files.iter();
    let mut copy = |role: &str, source: &Source| {
        let file = files.next().cloned();
        let file = file.unwrap_or_else(|| PictureFile::At(source.path.clone()));
        match new.shared {
            Some(shared) => inputs::link(role, source, &file, &inputs, shared),
            None => inputs::copy(role, source, &file, &inputs),
        }
    };
    let mut copies = Vec::new();
    for (role, source) in job.pictures() {
        copies.push(copy(&role, source)?);
    }
    let mut copies = copies.into_iter();
    let mut next = || copies.next().ok_or(JobError::Incomplete);
    let output = std::path::absolute(&job.output)
        .map_err(|cause| RunError::not_written(&job.output, cause))?;
    let record = Record {
        format: FORMAT,
        impasto: env!("CARGO_PKG_VERSION").to_owned(),
        name: name.clone(),
        created,
        content: next()?,
        style: next()?,
        more_styles: (job.more_styles.iter())
            .map(|_| next())
            .collect::<std::result::Result<_, _>>()?,
        start: job.start.as_ref().map(|_| next()).transpose()?,
        masks: copied_masks(job, &mut next)?,
        preset: job.preset.clone(),
        preset_name: new.preset_name.map(str::to_owned),
        overrides: new.overrides.clone(),
        compute: job.compute,
        replaced_sha256: digest::digest_at(&output).ok(),
        output,
    };
    let opened = Folder::open(folder).map_err(|cause| RunError::unreadable(folder, cause))?;
    record.write(&opened)?;
    let scales = &job.preset.schedule;
    let iterations = scales
        .iter()
        .fold(0, |sum: u32, scale| sum.saturating_add(scale.iterations));
    // A schedule has 64 scales at most.
    write_state(&opened, &RunProgress::new(iterations, scales.len() as u32))?;
    Ok(record)
}

/// The copies of a job's masks, which come next.
fn copied_masks(
    job: &Job,
    next: &mut impl FnMut() -> std::result::Result<Copied, JobError>,
) -> std::result::Result<Vec<CopiedMask>, JobError> {
    let copied = |pictures: &MaskPictures| {
        Ok(CopiedMask {
            mask: next()?,
            region: pictures.region.as_ref().map(|_| next()).transpose()?,
        })
    };
    job.masks.iter().map(copied).collect()
}

fn write_state(folder: &Folder, state: &RunProgress) -> Result<()> {
    let bytes = serde_json::to_vec_pretty(state).map_err(|error| RunError::Unwritable {
        reason: error.to_string(),
    })?;
    let written = folder.write(state::FILE, &bytes, false);
    written.map_err(|cause| RunError::not_written(&folder.path().join(state::FILE), cause))
}

/// The name that a folder has, if it is one for a run.
pub(super) fn name_of(folder: &Path) -> Option<RunName> {
    folder.file_name()?.to_str()?.parse().ok()
}

/// Takes the lock of the run `name` in a folder.
pub(super) fn lock_folder(folder: &Path, name: &RunName) -> Result<RunLock> {
    RunLock::take(folder).map_err(|why| match why {
        NoLock::Taken => RunError::Busy {
            name: name.to_string(),
            pid: lock::holder(folder),
        },
        NoLock::Io(cause) => RunError::not_written(&folder.join("lock"), cause),
    })
}
