//! Which contacts and flows a command is about.

use anyhow::Context;
use clap::Args;

use super::error::CommandError;
use crate::{
    model::{Timestamp, Window, parse_when},
    store::ContactQuery,
};

/// Filters that several commands have.
#[derive(Clone, Debug, Default, Args)]
pub struct FilterArgs {
    /// Begin at this time: RFC 3339, a date (UTC), or an age such as 24h or 7d
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// End before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Take only applications whose text, context, program or script matches (* and ? are wild)
    #[arg(long, value_name = "GLOB")]
    pub application: Option<String>,
    /// Take only destinations whose name or address matches (* and ? are wild)
    #[arg(long, value_name = "PATTERN")]
    pub to: Option<String>,
    /// Take only what was observed on this host
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
}

impl FilterArgs {
    /// The question that these filters ask.
    pub(super) fn query(&self, now: Timestamp) -> anyhow::Result<ContactQuery> {
        let time = |text: &Option<String>, option: &'static str| {
            let time = text.as_deref().map(|text| parse_when(text, now));
            time.transpose().context(option)
        };
        let window = Window {
            since: time(&self.since, "--since")?,
            until: time(&self.until, "--until")?,
        };
        check(window)?;
        Ok(ContactQuery {
            window,
            except: Vec::new(),
            application: self.application.clone(),
            to: self.to.clone(),
            host: self.host.clone(),
        })
    }
}

/// Reads `A..B`; either side may be left out.
pub(super) fn parse_except(text: &str, now: Timestamp) -> anyhow::Result<Window> {
    let failure = || CommandError::BadExcept {
        text: text.to_owned(),
    };
    let (since, until) = text.split_once("..").ok_or_else(failure)?;
    if since.is_empty() && until.is_empty() {
        return Err(failure().into());
    }
    let side = |side: &str| match side {
        "" => Ok(None),
        some => parse_when(some, now).map(Some),
    };
    let window = Window {
        since: side(since).context("--except")?,
        until: side(until).context("--except")?,
    };
    check(window)?;
    Ok(window)
}

fn check(window: Window) -> Result<(), CommandError> {
    match (window.since, window.until) {
        (Some(since), Some(until)) if until < since => Err(CommandError::EmptyWindow {
            since: since.to_string(),
            until: until.to_string(),
        }),
        _ => Ok(()),
    }
}
