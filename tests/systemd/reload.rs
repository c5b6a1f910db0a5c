//! Reading the configuration again while the service runs.

use libtest_mimic::{Failed, Trial};

use super::{
    guest::{SERVICE, await_some, configure, journal, property, systemctl},
    record::Record,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test(
            "a broken configuration changes nothing and is told by line",
            broken_is_refused,
        ),
        Trial::test(
            "what can change while it runs changes without a restart",
            sound_is_taken_over,
        ),
    ]
}

/// Reloads, and waits for what the service says of it.
fn reload(configuration: &str, answer: &str) -> Result<String, String> {
    let heard = journal()?.len();
    configure(configuration)?;
    systemctl(&["reload", SERVICE])?;
    await_some(answer, || {
        let said = journal()?.split_off(heard);
        Ok(said
            .lines()
            .find(|line| line.contains(answer))
            .map(str::to_owned))
    })
}

fn flush_interval() -> Result<Option<u64>, String> {
    Ok(Record::read()?.last_period()?.settings["flush_every_ns"].as_u64())
}

fn broken_is_refused() -> Result<(), Failed> {
    let (pid, interval) = (property(SERVICE, "MainPID")?, flush_interval()?);
    let line = reload(
        "[observe]\nflush_every = \"3s\"\n[retention]\ndetail_days = \"many\"\n",
        "the old settings stay",
    )?;
    let names_the_place = line.contains("config.toml:4") && line.contains("detail_days");
    if names_the_place && property(SERVICE, "MainPID")? == pid && flush_interval()? == interval {
        return Ok(());
    }
    Err(format!("it said `{line}`, flushes {:?}", flush_interval()?).into())
}

fn sound_is_taken_over() -> Result<(), Failed> {
    let pid = property(SERVICE, "MainPID")?;
    let line = reload(
        "[observe]\nflush_every = \"3s\"\n[limits]\nring_bytes = 4194304\n",
        "read again",
    )?;
    let interval = flush_interval()?;
    let is_told =
        line.contains("changed: observe.flush_every") && line.contains("needs a restart: limits");
    if is_told && interval == Some(3_000_000_000) && property(SERVICE, "MainPID")? == pid {
        return Ok(());
    }
    Err(format!("it said `{line}`, flushes every {interval:?} ns").into())
}
