//! In which form an answer is given, and where it goes.

use std::path::Path;

use clap::ValueEnum;
use serde_json::Value;

use super::{UsageError, args::OutputArgs, json};
use crate::{cli::output, render::Format, wire::v1::generated::ExportFormat};

/// Forms of answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Form {
    /// For people
    Table,
    /// For programs
    Json,
    /// Interactive flame graph
    Svg,
    /// For go tool pprof
    Pprof,
    /// One `comm;frame;frame N` line a stack
    Collapsed,
    /// For speedscope.app
    Speedscope,
}

impl Form {
    /// Its name on the command line.
    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The format that the service writes; nothing for what is made here.
    pub(super) fn export(self) -> Option<ExportFormat> {
        match self {
            Self::Table | Self::Json => None,
            Self::Svg => Some(ExportFormat::Svg),
            Self::Pprof => Some(ExportFormat::Pprof),
            Self::Collapsed => Some(ExportFormat::Collapsed),
            Self::Speedscope => Some(ExportFormat::Speedscope),
        }
    }
}

/// Which forms a question has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forms {
    /// The question.
    pub(super) question: &'static str,
    /// Its forms.
    pub(super) known: &'static [Form],
    /// Their names, for people.
    pub(super) names: &'static str,
}

impl Forms {
    /// Those of a question that is answered as text.
    pub(super) const fn of_text(question: &'static str) -> Self {
        Self {
            question,
            known: &[Form::Table, Form::Json],
            names: "table and json",
        }
    }
}

impl OutputArgs {
    /// The form that was asked for: by name, else by extension, else a table.
    pub(super) fn form(&self, of: Forms) -> Result<Form, UsageError> {
        let form = match (self.json, self.format, self.output.as_deref()) {
            (true, _, _) => Form::Json,
            (false, Some(form), _) => form,
            (false, None, Some(path)) if path != Path::new("-") => by_extension(path, of)?,
            (false, None, _) => Form::Table,
        };
        if of.known.contains(&form) {
            return Ok(form);
        }
        Err(UsageError::Format {
            question: of.question,
            format: form.name(),
            known: of.names,
        })
    }

    /// Writes an answer that is text, or JSON for programs.
    pub(super) fn answer(
        &self,
        form: Form,
        value: impl FnOnce() -> Value,
        text: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        self.write(&if form == Form::Json {
            json::text(&value())
        } else {
            text().into_bytes()
        })
    }

    /// Writes the answer to where it belongs.
    pub(super) fn write(&self, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.output.as_deref().unwrap_or(Path::new("-"));
        Ok(output::write(path, bytes)?)
    }
}

/// The form that a file's name stands for. Text is a table where stacks are not what is asked for.
fn by_extension(path: &Path, of: Forms) -> Result<Form, UsageError> {
    match Format::from_path(path) {
        Ok(Format::Svg) => Ok(Form::Svg),
        Ok(Format::Pprof) => Ok(Form::Pprof),
        Ok(Format::Collapsed) if of.known.contains(&Form::Collapsed) => Ok(Form::Collapsed),
        Ok(Format::Collapsed) => Ok(Form::Table),
        Ok(Format::Speedscope) => Ok(Form::Speedscope),
        Ok(Format::Json) => Ok(Form::Json),
        Err(_unknown) => Err(UsageError::Extension {
            path: path.display().to_string(),
            known: of.names,
        }),
    }
}
