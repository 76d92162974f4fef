//! Carrying effects out: what [`update`] cannot do without a world.

use std::io;
use std::path::PathBuf;

use impasto_core::picture;
use impasto_core::preset::{Preset, Watch};
use impasto_core::protocol::Command;

use super::Dashboard;
use crate::tui::app::Phase;
use crate::tui::console::Console;
use crate::tui::pane::Shown;
use crate::tui::theme::Theme;
use crate::tui::update::{Effect, Message};

/// The most numbers tried for a free name.
const MAX_NAMES: u32 = 100_000;

impl Dashboard<'_> {
    pub(super) fn execute(&mut self, effect: Effect, console: &mut dyn Console) -> io::Result<()> {
        let message = match effect {
            Effect::Send(command) => {
                if self.app.is_over() && matches!(command, Command::Change(_)) {
                    // The picture may be shown in another way.
                    self.asked = None;
                }
                self.send(command);
                return Ok(());
            }
            Effect::ListPresets => Message::Presets(self.library.list()),
            Effect::LoadPreset(name) => Message::Loaded(self.load_preset(&name)),
            Effect::SavePreset { preset, name } => {
                let preset = Preset {
                    name: name.clone(),
                    ..*preset
                };
                let saved = self.library.save(&preset, &name);
                Message::SavedPreset(saved.map_err(|error| error.to_string()))
            }
            Effect::Snapshot => {
                let output = match (&self.app.phase, &self.app.remote) {
                    // After the end the picture itself is saved as it is shown.
                    (
                        Phase::Finished {
                            output: Some(output),
                        },
                        _,
                    ) => output.clone(),
                    // Where the run keeps its snapshots.
                    (_, Some(_)) => PathBuf::new(),
                    (_, None) => self.free_name("snapshot-"),
                };
                self.send(Command::Snapshot { output });
                return Ok(());
            }
            Effect::Restart { preset, from } => {
                let output = match self.app.step {
                    // Nothing was painted, so the name is still to be used.
                    None if !self.app.is_over() => self.app.output.clone(),
                    _ => self.free_name(""),
                };
                let output = match self.app.remote {
                    // Another process may work in another folder.
                    Some(_) => std::path::absolute(&output).unwrap_or(output),
                    None => output,
                };
                self.send(Command::Restart {
                    preset,
                    from,
                    output,
                });
                return Ok(());
            }
            Effect::NextPicture => {
                let next = self.picture.shown().next(self.picture.has_masks());
                self.picture.show(next);
                return Ok(());
            }
            Effect::MoveSplit(by) => {
                self.picture.show(Shown::Split);
                self.picture.set_split(self.picture.split() + by);
                return Ok(());
            }
            Effect::SplitAt(column) => {
                self.picture.show(Shown::Split);
                self.picture.split_at(column);
                return Ok(());
            }
            Effect::NextGraphics => {
                let mode = self.picture.mode().next();
                self.picture.set_mode(mode);
                self.app
                    .note(format!("pictures are drawn as {mode}"), false);
                return Ok(());
            }
            Effect::NextTheme => {
                self.palette = self.palette.next();
                self.theme = Theme::new(self.palette, self.colours, self.theme.ascii);
                self.note(format!("theme {}", self.palette), false);
                return Ok(());
            }
            Effect::ShowFullScreen => return self.show_full_screen(console),
            Effect::Suspend => {
                console.suspend()?;
                self.picture.send_again();
                return Ok(());
            }
            Effect::Leave => return Ok(()),
        };
        for effect in self.update(message) {
            self.execute(effect, console)?;
        }
        Ok(())
    }

    pub(super) fn send(&mut self, command: Command) {
        match &self.run {
            // An engine that is gone receives nothing, and has reported its end.
            Some(run) => drop(run.link.commands.send(command)),
            // Nothing is begun, so there is nothing to save.
            None if command == Command::Stop => {
                self.update(Message::NotBegun);
            }
            None => {}
        }
    }

    fn load_preset(&mut self, name: &str) -> Result<Box<Preset>, String> {
        // First, so that no saving between the two is missed.
        let watch = self.library.file_of(name).map(Watch::new);
        let found = self.library.find(name);
        let preset = found.map_err(|error| error.to_string())?;
        self.watch = watch;
        // The settings were for the preset that was named with them.
        self.plan.overrides.settings.clear();
        Ok(Box::new(self.plan.overrides.apply_to_run(preset)))
    }

    /// Reserves a name beside the output.
    fn free_name(&mut self, word: &str) -> PathBuf {
        let stem = self.plan.output.file_stem().unwrap_or_default();
        let stem = stem.to_string_lossy().into_owned();
        let extension = self.plan.output.extension().unwrap_or_default();
        let extension = extension.to_string_lossy().into_owned();
        let named = |number: u32| {
            let name = format!("{stem}-{word}{number}.{extension}");
            self.plan.output.with_file_name(name)
        };
        let first = if word.is_empty() { 2 } else { 1 };
        // Where none can be obtained, the engine says why.
        picture::reserve((first..MAX_NAMES).map(named)).unwrap_or_else(|_| named(first))
    }
}
