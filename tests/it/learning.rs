//! How complete learning is said to be: published estimators, states, and what must always hold.

use egress_baseline::{
    analyze::completeness::{
        TARGET_NEW_PER_WEEK, completeness,
        estimators::{self, Counts},
    },
    model::{
        Completeness, LearningState, Sampling, SamplingUnit,
        SamplingUnit::{Day, Hour, Run},
        Units,
    },
};
use proptest::{
    prelude::{Strategy, prop, prop_assert, prop_assert_eq},
    proptest,
};
use serde::Deserialize;

const FIRST: u32 = 20_000;

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
}

/// Incidences, and what others make of them.
#[derive(Deserialize)]
struct Case {
    units: u32,
    reached: Vec<Vec<u32>>,
    coverage: f64,
    unseen: f64,
    new_1: f64,
    new_7: f64,
    at_least: f64,
    at_least_low: f64,
    at_least_high: f64,
    vegan_chao: f64,
}

fn units(units: impl IntoIterator<Item = u32>) -> Units {
    units.into_iter().map(|unit| FIRST + unit).collect()
}

/// Days from the first on, all of them covered, and something done on each.
fn days(number: u32) -> Sampling {
    Sampling {
        unit: Day,
        covered: units(0..number),
        covered_days: units(0..number),
        active_days: units(0..number),
        has_gaps: false,
    }
}

fn of(sampling: &Sampling, destinations: &[Units]) -> Completeness {
    completeness(sampling, destinations.iter(), TARGET_NEW_PER_WEEK)
}

/// Reached on each of the days.
fn daily(number: u32) -> Units {
    units(0..number)
}

fn assert_near(found: f64, expected: f64, what: &str) {
    let tolerance = 1e-9 * expected.abs().max(1.0);
    assert!(
        (found - expected).abs() <= tolerance,
        "{what}: {found}, not {expected}"
    );
}

#[test]
fn the_published_estimators_agree_with_other_programs() {
    let text = include_str!("../fixtures/learning/estimators.json");
    let fixture: Fixture = serde_json::from_str(text).unwrap();
    assert!(fixture.cases.len() > 30);
    for case in fixture.cases {
        let of_times = |times| case.reached.iter().filter(|row| row.len() == times).count();
        let counts = Counts {
            units: case.units as usize,
            destinations: case.reached.len(),
            incidences: case.reached.iter().map(Vec::len).sum(),
            once: of_times(1),
            twice: of_times(2),
        };
        let coverage = estimators::sample_coverage(&counts).unwrap();
        assert_near(coverage, case.coverage, "coverage");
        assert_near(estimators::unseen(&counts), case.unseen, "unseen");
        let all = estimators::unseen(&counts) + counts.destinations as f64;
        assert_near(all, case.vegan_chao, "chao of vegan");
        assert_near(
            estimators::expected_new(&counts, 1.0),
            case.new_1,
            "new in 1",
        );
        assert_near(
            estimators::expected_new(&counts, 7.0),
            case.new_7,
            "new in 7",
        );
        let at_least = estimators::at_least(&counts);
        assert_near(at_least.value, case.at_least, "at least");
        assert_near(at_least.high, case.at_least_high, "upper end of at least");
        assert_near(
            at_least.low.min(at_least.value),
            case.at_least_low.min(at_least.value),
            "lower end of at least",
        );
    }
}

/// Ten days, by hand. One destination daily, two on three days, one on two, and once each on days 3,
/// 5 and 8. t = 10, S = 7, U = 10 + 3 + 3 + 2 + 3 = 21, Q1 = 3, Q2 = 1.
/// Coverage: 1 − 3/21 · 27/(27 + 2) = 1 − 27/203. Chao2: Q0 = 0.9 · 9/2 = 4.05.
/// Next day: 4.05 · 3/(3 + 40.5) = 12.15/43.5. At least: 7 + 0.9 · 3 · 2/(2 · 2) = 8.35.
#[test]
fn ten_days_come_out_as_by_hand() {
    let reached = [
        daily(10),
        units([2, 4, 6]),
        units([1, 2, 9]),
        units([3]),
        units([5]),
        units([8]),
        units([4, 7]),
    ];
    let known = of(&days(10), &reached);
    assert_eq!((known.units, known.quiet, known.destinations), (10, 1, 7));
    assert_near(
        known.coverage.unwrap().value,
        1.0 - 27.0 / 203.0,
        "coverage",
    );
    let next = known.next_unit.unwrap().expected;
    assert_near(next.value, 12.15 / 43.5, "next day");
    assert_near(known.at_least.unwrap().value, 8.35, "at least");
    assert_near(known.chance_at_most.unwrap(), 0.95, "chance after one day");
}

#[test]
fn forty_one_days_with_thirty_three_quiet_are_stable() {
    let reached = [daily(41), units([7, 8, 30])];
    let known = of(&days(41), &reached);
    assert_eq!((known.units, known.quiet), (41, 33));
    assert_eq!(known.state, LearningState::Stable);
    assert_near(
        known.chance_at_most.unwrap(),
        1.0 - 0.05_f64.powf(1.0 / 33.0),
        "chance",
    );
    // A rate that thirty-three quiet days allow at 95 %: the same bound, for a mean.
    let next = known.next_unit.unwrap().expected;
    assert_near(next.high, -(0.05_f64.ln()) / 33.0, "next day");
    assert!(!known.is_partial);
}

#[test]
fn stable_needs_quiet_days_as_the_target_asks() {
    let state = |number, target| completeness(&days(number), [daily(number)].iter(), target).state;
    // The first day brings it, the others are quiet: 21, 14 and 42 of them.
    for (needed, target) in [(22, 1.0), (15, 1.5), (43, 0.5)] {
        assert_eq!(
            state(needed - 1, target),
            LearningState::Learning,
            "{target}"
        );
        assert_eq!(state(needed, target), LearningState::Stable, "{target}");
    }
}

#[test]
fn no_target_makes_stable_what_was_hardly_watched() {
    const GENEROUS: f64 = 1e6;
    let state = |sampling: &Sampling, reached: &[Units]| {
        completeness(sampling, reached.iter(), GENEROUS).state
    };
    assert_eq!(state(&days(13), &[daily(13)]), LearningState::Learning);
    assert_eq!(state(&days(14), &[daily(14)]), LearningState::Stable);
    let new_on = |day| [daily(30), units([day])];
    assert_eq!(state(&days(30), &new_on(23)), LearningState::Learning);
    assert_eq!(state(&days(30), &new_on(22)), LearningState::Stable);
    let hours = Sampling {
        unit: Hour,
        ..days(119)
    };
    assert_eq!(state(&hours, &[daily(119)]), LearningState::Learning);
    let runs = |number| Sampling {
        unit: Run,
        ..days(number)
    };
    assert_eq!(state(&runs(13), &[daily(13)]), LearningState::Learning);
    assert_eq!(state(&runs(14), &[daily(14)]), LearningState::Stable);
}

#[test]
fn what_was_reached_once_at_the_start_does_not_unsettle_for_ever() {
    let mut reached = vec![daily(30); 5];
    reached.extend(vec![units([0]); 40]);
    let known = of(&days(30), &reached);
    assert_eq!(known.state, LearningState::Stable);
}

#[test]
fn where_nothing_new_came_of_late_nothing_may_come() {
    let reached = [daily(14), units([3]), units([4]), units([5])];
    let week = of(&days(14), &reached).next_week.unwrap();
    assert!(week.expected.value > 0.0);
    assert_eq!((week.expected.low, week.fewest), (0.0, 0));
}

#[test]
fn a_day_that_was_not_covered_is_not_quiet_and_makes_it_partial() {
    let reached = [units(0..5), units([20, 39])];
    let mut sampling = days(40);
    let whole = of(&sampling, &reached);
    sampling.covered = units((0..25).chain(35..40));
    let known = of(&sampling, &reached);
    assert_eq!(
        (whole.units, whole.quiet, whole.is_partial),
        (40, 19, false)
    );
    assert_eq!((known.units, known.quiet, known.is_partial), (30, 9, true));
    assert!(known.chance_at_most > whole.chance_at_most);

    let lossy = Sampling {
        has_gaps: true,
        ..days(40)
    };
    assert!(of(&lossy, &reached).is_partial);
}

#[test]
fn what_was_reached_where_nothing_was_covered_is_counted_and_makes_it_partial() {
    let mut sampling = days(10);
    sampling.covered = units(0..9);
    let known = of(&sampling, &[daily(10)]);
    assert_eq!((known.units, known.is_partial), (10, true));
}

#[test]
fn days_before_the_application_was_first_seen_do_not_count() {
    let known = of(&days(40), &[units(30..40)]);
    assert_eq!((known.units, known.quiet), (10, 9));
    assert_eq!(known.state, LearningState::Learning);
}

#[test]
fn too_few_units_give_no_number_but_the_exact_bound() {
    let known = of(&days(4), &[daily(4), units([0])]);
    assert_eq!(known.state, LearningState::Learning);
    assert_eq!(
        (
            known.coverage,
            known.next_unit,
            known.next_week,
            known.at_least
        ),
        (None, None, None, None)
    );
    assert_eq!((known.units, known.quiet), (4, 3));

    let nothing = of(&days(0), &[]);
    assert_eq!((nothing.units, nothing.destinations), (0, 0));
    assert_eq!(nothing.chance_at_most, None);
    assert_eq!(of(&days(30), &[Units::new()]).coverage, None);
}

#[test]
fn what_no_unit_has_shown_is_not_foretold() {
    let five_days = of(&days(5), &[daily(5)]);
    assert!(five_days.next_unit.is_none() && five_days.next_week.is_some());
    let hours = |number| Sampling {
        unit: Hour,
        ..days(number)
    };
    let day_and_night = of(&hours(47), &[daily(47)]);
    assert!(day_and_night.next_unit.is_none() && day_and_night.next_week.is_none());
    let four_days = of(&hours(96), &[daily(96)]);
    assert!(four_days.next_unit.is_some() && four_days.next_week.is_some());
    assert_eq!(four_days.state, LearningState::Learning);
}

#[test]
fn a_week_of_runs_has_as_many_as_there_were() {
    // Sixty runs in thirty days: fourteen a week.
    let sampling = Sampling {
        unit: Run,
        covered: (1..=60).collect(),
        ..days(30)
    };
    let reached: [Units; 1] = [(1..=60).collect()];
    let known = of(&sampling, &reached);
    let high = |new: Option<egress_baseline::model::NewDestinations>| new.unwrap().expected.high;
    assert_near(high(known.next_week), 14.0 * high(known.next_unit), "week");
    assert_eq!(known.state, LearningState::Stable);
}

#[test]
fn news_after_a_quiet_time_is_unstable_and_one_alone_is_not() {
    let mut reached = vec![daily(60); 3];
    reached.push(units([50]));
    assert_ne!(of(&days(60), &reached).state, LearningState::Unstable);
    reached.extend([units([52]), units([56])]);
    assert_eq!(of(&days(60), &reached).state, LearningState::Unstable);
    // Long ago is over.
    let long_ago = [daily(60), units([20]), units([22]), units([24])];
    assert_eq!(of(&days(60), &long_ago).state, LearningState::Stable);
    // What never was quiet is still being learned.
    let always: Vec<Units> = (0..30).map(|day| units([2 * day])).collect();
    assert_eq!(of(&days(60), &always).state, LearningState::Learning);
}

#[test]
fn dormant_is_by_the_own_rhythm_and_by_covered_days() {
    let idle = |active: Units, covered: Units| {
        let sampling = Sampling {
            covered: covered.clone(),
            covered_days: covered,
            active_days: active.clone(),
            ..days(0)
        };
        let known = of(&sampling, &[active]);
        (known.idle_days, known.state == LearningState::Dormant)
    };
    let first = |number| units(0..number);
    // Daily, then not for a week.
    assert_eq!(idle(first(20), first(26)), (6, false));
    assert_eq!(idle(first(20), first(27)), (7, true));
    // Weekly: pauses are of six days.
    let weekly = || units([0, 7, 14, 21]);
    assert_eq!(idle(weekly(), first(22 + 17)), (17, false));
    assert_eq!(idle(weekly(), first(22 + 18)), (18, true));
    // Once only.
    assert_eq!(idle(first(1), first(35)), (34, false));
    assert_eq!(idle(first(1), first(36)), (35, true));
    // Days that were not watched prove nothing.
    let gap = units((0..20).chain(40..44));
    assert_eq!(idle(first(20), gap), (4, false));
    // Nor are they a pause of the application's own.
    let watched = units((0..20).chain(60..90));
    assert_eq!(idle(units((0..20).chain(60..80)), watched), (10, true));
}

#[test]
fn numbers_at_the_ends_of_the_range_do_no_harm() {
    for unit in [Day, Hour, Run] {
        let covered: Units = (0..50).map(|step| u32::MAX - step).chain([0]).collect();
        let sampling = Sampling {
            unit,
            covered: covered.clone(),
            covered_days: covered.clone(),
            active_days: covered.clone(),
            has_gaps: false,
        };
        let known = completeness(&sampling, [covered].iter(), f64::NAN);
        assert_eq!(known.units, 51);
    }
}

fn unit() -> impl Strategy<Value = SamplingUnit> {
    prop::sample::select(vec![Day, Hour, Run])
}

/// Destinations, by the units in which they were reached.
fn reached() -> impl Strategy<Value = Vec<Units>> {
    prop::collection::vec(prop::collection::vec(0_u32..60, 0..12), 0..30)
        .prop_map(|rows| rows.into_iter().map(units).collect())
}

fn estimates(known: &Completeness) -> Vec<egress_baseline::model::Estimate> {
    let new = [known.next_unit, known.next_week];
    let expected = new.into_iter().flatten().map(|new| new.expected);
    expected
        .chain(known.coverage)
        .chain(known.at_least)
        .collect()
}

proptest! {
    #[test]
    fn the_order_of_destinations_changes_nothing(rows in reached(), unit in unit(), turn in 0_usize..30) {
        let sampling = Sampling { unit, ..days(60) };
        let mut other = rows.clone();
        other.reverse();
        let turn = turn.min(other.len());
        other.rotate_left(turn);
        prop_assert_eq!(of(&sampling, &rows), of(&sampling, &other));
    }

    #[test]
    fn intervals_hold_their_estimates_and_shares_are_shares(rows in reached(), unit in unit(), covered in 0_u32..60) {
        let known = of(&Sampling { unit, ..days(covered) }, &rows);
        for estimate in estimates(&known) {
            prop_assert!(estimate.low.is_finite() && estimate.high.is_finite(), "{:?}", known);
            prop_assert!(0.0 <= estimate.low && estimate.low <= estimate.value && estimate.value <= estimate.high, "{:?}", known);
        }
        for new in [known.next_unit, known.next_week].into_iter().flatten() {
            prop_assert!(new.fewest <= new.most, "{:?}", known);
            prop_assert!(new.fewest as f64 <= new.expected.value.ceil() && new.expected.value.floor() <= new.most as f64, "{:?}", known);
        }
        if let Some(coverage) = known.coverage {
            prop_assert!(coverage.high <= 1.0);
        }
        if let Some(at_least) = known.at_least {
            prop_assert!(at_least.low >= known.destinations as f64 - 1e-9);
        }
        prop_assert!(known.chance_at_most.is_none_or(|chance| (0.0..=1.0).contains(&chance)));
    }

    #[test]
    fn more_quiet_units_never_raise_the_bound(rows in reached(), unit in unit(), more in 1_u32..200) {
        let before = of(&Sampling { unit, ..days(60) }, &rows);
        let after = of(&Sampling { unit, ..days(60 + more) }, &rows);
        prop_assert!(after.quiet >= before.quiet);
        prop_assert!(after.chance_at_most.unwrap_or(1.0) <= before.chance_at_most.unwrap_or(1.0));
        if rows.iter().all(Units::is_empty) {
            return Ok(());
        }
        prop_assert_eq!(after.quiet, before.quiet + u64::from(more));
    }

    #[test]
    fn after_a_long_quiet_each_quiet_day_lowers_what_is_expected(rows in reached(), more in 0_u32..200) {
        let high = |days_of: u32| of(&days(days_of), &rows).next_week.map(|week| week.expected.high);
        if let (Some(before), Some(after)) = (high(120 + more), high(121 + more)) {
            prop_assert!(after < before, "{}, then {}", before, after);
        } else {
            prop_assert!(rows.iter().all(Units::is_empty));
        }
    }
}
