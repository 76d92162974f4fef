//! The result of a command: success, or an exit code and a message.

use std::io;

use impasto_core::job::{JobError, PlanError};
use impasto_core::picture::PictureError;
use impasto_core::preset::PresetError;
use impasto_engine::EngineError;
use impasto_runs::RunError;
use impasto_service::engine_process::RemoteError;
use impasto_service::host::HostError;
use impasto_sweep::SweepError;
use impasto_weights::{NetworkError, WeightsError};

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// Wrong usage, preset or file: exit code 2.
    Usage(String),
    /// Something failed at run time: exit code 1.
    Failed(String),
    /// A signal ended it, and all was saved: 128 + its number.
    Stopped(u8),
    /// The reader of the output is gone: not reported, exit code 0.
    BrokenPipe,
}

impl Failure {
    /// The failure of a run: `refused` if the request was wrong, such as a missing device.
    pub fn of_run(message: String, refused: bool) -> Self {
        match refused {
            true => Self::Usage(message),
            false => Self::Failed(message),
        }
    }
}

/// The result of a command.
pub type Outcome = Result<(), Failure>;

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::BrokenPipe
        } else {
            Self::Failed(format!("cannot write the output: {error}"))
        }
    }
}

impl From<PictureError> for Failure {
    fn from(error: PictureError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<PresetError> for Failure {
    fn from(error: PresetError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<JobError> for Failure {
    fn from(error: JobError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<NetworkError> for Failure {
    fn from(error: NetworkError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<WeightsError> for Failure {
    fn from(error: WeightsError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::of_run(error.to_string(), error.is_usage_error())
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Run(error) => error.into(),
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<SweepError> for Failure {
    fn from(error: SweepError) -> Self {
        match error {
            SweepError::Run(error) => error.into(),
            SweepError::Host(error) => error.into(),
            error => Self::Usage(error.to_string()),
        }
    }
}

impl From<RemoteError> for Failure {
    fn from(error: RemoteError) -> Self {
        let refused = matches!(error, RemoteError::Refused(_));
        Self::of_run(error.to_string(), refused)
    }
}
