//! What an application usually does, and how much of that is known.

use serde::Serialize;

use super::{SamplingUnit, Units};

/// An application's dealings with one thing that is counted.
///
/// Failed attempts are not in it: they are kept apart and allow nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incidence<T> {
    /// The thing, such as a destination after generalisation.
    pub of: T,
    /// In which units it happened.
    pub units: Units,
}

/// What could have been seen of an application, in its unit of sampling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// The unit.
    pub unit: SamplingUnit,
    /// Units that were watched: days, hours, or the ordinals of the application's runs.
    pub covered: Units,
    /// UTC days that were watched.
    pub covered_days: Units,
    /// UTC days on which the application did anything, failed attempts included.
    pub active_days: Units,
    /// Whether something was lost or not watched within the covered units.
    pub has_gaps: bool,
}

/// A number that is not known for sure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The published estimate, or the end of the interval that is nearest to it.
    pub value: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
}

/// How many new destinations a stretch of time will bring.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct NewDestinations {
    /// What is to be expected: the mean over many such stretches.
    pub expected: Estimate,
    /// Fewest that one such stretch will bring, 95 % together with `most`.
    pub fewest: u64,
    /// Most that one such stretch will bring.
    pub most: u64,
}

/// How far the learning of an application has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LearningState {
    /// Too little was watched, or too much that is new is still to be expected.
    Learning,
    /// Nothing new for long enough, and little to be expected.
    Stable,
    /// It had been quiet, and new destinations came back.
    Unstable,
    /// It has done nothing at all for long, by its own rhythm.
    Dormant,
}

impl LearningState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Learning, Self::Stable, Self::Unstable, Self::Dormant];

    /// The word for it, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Learning => "learning",
            Self::Stable => "stable",
            Self::Unstable => "unstable",
            Self::Dormant => "dormant",
        }
    }
}

/// What is known of an application, or of a host as a whole, and how much is not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Completeness {
    /// How far the learning has come.
    pub state: LearningState,
    /// Whether something was not watched since the application was first seen.
    pub is_partial: bool,
    /// What is counted in.
    pub unit: SamplingUnit,
    /// Covered units since the application was first seen.
    pub units: u64,
    /// Covered units since the last one that brought something new.
    pub quiet: u64,
    /// Covered days since the application last did anything.
    pub idle_days: u64,
    /// Destinations that were seen.
    pub destinations: u64,
    /// The share of what happens that goes to destinations that were seen.
    pub coverage: Option<Estimate>,
    /// New destinations in the next unit.
    pub next_unit: Option<NewDestinations>,
    /// New destinations in the next week.
    pub next_week: Option<NewDestinations>,
    /// Destinations that there are at least, seen and unseen.
    pub at_least: Option<Estimate>,
    /// The most that the chance of something new in the next unit can be, after this many quiet ones.
    pub chance_at_most: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::LearningState;

    #[test]
    fn the_words_of_states_are_those_of_the_documents() {
        for state in LearningState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.word());
        }
    }
}
