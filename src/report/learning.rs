//! How far the learning of an application has come, in one sentence.

use crate::model::{Completeness, LearningState, NewDestinations, SamplingUnit};

use super::{count, counted, visible};

/// `nginx: 41 days, nothing new for 33; at most 9 % chance of something new tomorrow`.
pub fn sentence(name: &str, known: &Completeness) -> String {
    let mut sentence = format!("{}: {}", visible(name), seen(known));
    if let Some(outlook) = outlook(known) {
        sentence.push_str("; ");
        sentence.push_str(&outlook);
    }
    if known.is_partial {
        sentence.push_str("; PARTIAL: some of that time was not watched");
    }
    sentence
}

fn seen(known: &Completeness) -> String {
    if known.destinations == 0 {
        return "reached nothing yet".to_owned();
    }
    let units = counted(known.units, known.unit.word(1), known.unit.word(2));
    if known.state == LearningState::Dormant {
        let idle = counted(known.idle_days, "day", "days");
        return format!("{units}, nothing at all for {idle}");
    }
    match known.quiet {
        0 if known.units == 1 => units,
        0 => format!("{units}, something new in the last"),
        quiet => format!("{units}, nothing new for {}", count(quiet)),
    }
}

fn outlook(known: &Completeness) -> Option<String> {
    let lead = match known.state {
        _ if known.destinations == 0 => return None,
        LearningState::Dormant => return Some("what is known may no longer be so".to_owned()),
        _ if known.coverage.is_none() => return Some("too few to say what is missing".to_owned()),
        LearningState::Stable => return chance(known),
        LearningState::Learning => "still learning",
        LearningState::Unstable => "new destinations came back after a quiet time",
    };
    let number = known.next_week.as_ref().map(in_next_week);
    Some(match number.or_else(|| chance(known)) {
        Some(number) => format!("{lead}: {number}"),
        None => lead.to_owned(),
    })
}

fn chance(known: &Completeness) -> Option<String> {
    let next = match known.unit {
        SamplingUnit::Run => "in the next run",
        SamplingUnit::Day => "tomorrow",
        SamplingUnit::Hour => "in the next hour",
    };
    let percent = known.chance_at_most? * 100.0;
    Some(if percent < 1.0 {
        format!("less than 1 % chance of something new {next}")
    } else {
        let percent = percent.ceil();
        format!("at most {percent:.0} % chance of something new {next}")
    })
}

fn in_next_week(new: &NewDestinations) -> String {
    let most = counted(new.most, "new destination", "new destinations");
    if new.fewest == new.most {
        format!("{most} to be expected in the next week")
    } else {
        let fewest = count(new.fewest);
        format!("{fewest} to {most} to be expected in the next week")
    }
}

#[cfg(test)]
mod tests {
    use super::sentence;
    use crate::model::{
        Completeness, Estimate,
        LearningState::{Dormant, Learning, Stable, Unstable},
        NewDestinations, SamplingUnit,
    };

    /// So many days, of which so many were quiet.
    fn known(units: u64, quiet: u64) -> Completeness {
        let estimate = Estimate {
            value: 0.9,
            low: 0.8,
            high: 1.0,
        };
        Completeness {
            state: Stable,
            is_partial: false,
            unit: SamplingUnit::Day,
            units,
            quiet,
            idle_days: 0,
            destinations: 12,
            coverage: Some(estimate),
            next_unit: None,
            next_week: Some(NewDestinations {
                expected: estimate,
                fewest: 0,
                most: 3,
            }),
            at_least: None,
            chance_at_most: (quiet > 0).then(|| 1.0 - 0.05_f64.powf(1.0 / quiet as f64)),
        }
    }

    #[test]
    fn what_is_settled_says_how_unlikely_news_is() {
        let nginx = known(41, 33);
        assert_eq!(
            sentence("nginx", &nginx),
            "nginx: 41 days, nothing new for 33; at most 9 % chance of something new tomorrow"
        );
        let runs = Completeness {
            unit: SamplingUnit::Run,
            ..known(1_900, 1_200)
        };
        assert_eq!(
            sentence("backup", &runs),
            "backup: 1,900 runs, nothing new for 1,200; less than 1 % chance of something new in \
             the next run"
        );
    }

    #[test]
    fn what_is_learned_says_what_is_to_come() {
        let learning = Completeness {
            state: Learning,
            ..known(14, 0)
        };
        assert_eq!(
            sentence("apt", &learning),
            "apt: 14 days, something new in the last; still learning: 0 to 3 new destinations to \
             be expected in the next week"
        );
        let unstable = Completeness {
            state: Unstable,
            next_week: learning.next_week.map(|week| NewDestinations {
                fewest: 1,
                most: 1,
                ..week
            }),
            ..known(50, 1)
        };
        assert_eq!(
            sentence("apt", &unstable),
            "apt: 50 days, nothing new for 1; new destinations came back after a quiet time: 1 new \
             destination to be expected in the next week"
        );
        let hours = Completeness {
            unit: SamplingUnit::Hour,
            next_week: None,
            ..learning.clone()
        };
        assert_eq!(
            sentence("apt", &hours),
            "apt: 14 hours, something new in the last; still learning"
        );
        let quiet_hours = Completeness {
            chance_at_most: Some(0.26),
            quiet: 10,
            ..hours
        };
        assert_eq!(
            sentence("apt", &quiet_hours),
            "apt: 14 hours, nothing new for 10; still learning: at most 26 % chance of something \
             new in the next hour"
        );
    }

    #[test]
    fn little_evidence_never_sounds_like_much() {
        let first_hour = Completeness {
            state: Learning,
            unit: SamplingUnit::Hour,
            coverage: None,
            next_week: None,
            ..known(1, 0)
        };
        assert_eq!(
            sentence("curl", &first_hour),
            "curl: 1 hour; too few to say what is missing"
        );
        let nothing = Completeness {
            destinations: 0,
            ..first_hour.clone()
        };
        assert_eq!(sentence("curl", &nothing), "curl: reached nothing yet");
        let few = Completeness {
            units: 4,
            quiet: 3,
            chance_at_most: Some(0.64),
            is_partial: true,
            ..first_hour
        };
        assert_eq!(
            sentence("curl", &few),
            "curl: 4 hours, nothing new for 3; too few to say what is missing; PARTIAL: some of \
             that time was not watched"
        );
    }

    #[test]
    fn what_does_nothing_any_more_is_not_called_settled() {
        let dormant = Completeness {
            state: Dormant,
            idle_days: 36,
            ..known(1, 0)
        };
        assert_eq!(
            sentence("setup", &dormant),
            "setup: 1 day, nothing at all for 36 days; what is known may no longer be so"
        );
    }

    #[test]
    fn names_that_would_act_on_a_terminal_are_made_visible() {
        let sentence = sentence("a\u{1b}[2Jb\n", &known(41, 33));
        assert!(
            sentence.starts_with("a\\u{1b}[2Jb\\n: 41 days"),
            "{sentence}"
        );
    }
}
