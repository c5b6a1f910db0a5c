//! Made-up traffic, of which everything is known.

use std::ops::Range;

use egress_baseline::model::{SamplingUnit, Units};

/// How destinations come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Traffic {
    /// A few daily, many hardly ever, each day by itself.
    Zipf,
    /// A handful, all of them often.
    Settled,
    /// The same, after a first day with many that never come again.
    Installed,
    /// Several days on end and then not for long; and days that bring many at once.
    Bursty,
    /// Little at weekends, and a job with destinations of its own on one weekday.
    Weekly,
    /// New ones for ever, that stay for some days and never come back.
    Moving,
    /// By the hour, with little at night.
    Hourly,
}

/// What was seen of some traffic, and what is true of it.
pub(crate) struct Series {
    pub(crate) covered: Units,
    pub(crate) destinations: Vec<Units>,
    pub(crate) unit: SamplingUnit,
    pub(crate) coverage: f64,
    pub(crate) next_unit: f64,
    pub(crate) next_week: f64,
    /// Of anything new in the next unit.
    pub(crate) chance: f64,
    pub(crate) came_in_week: u64,
}

/// One series. Each has parameters of its own, thrown from its number.
pub(crate) fn series_of(traffic: Traffic, units: u32, number: u64) -> Series {
    let mut dice = Dice(number << 20 ^ u64::from(units) << 8 ^ traffic as u64);
    let (unit, week) = match traffic {
        Traffic::Hourly => (SamplingUnit::Hour, 168),
        _ => (SamplingUnit::Day, 7),
    };
    let first = 20_000 + dice.below(500);
    let time = Time { first, units, week };
    let sources = match traffic {
        Traffic::Zipf => zipf(&mut dice, 400, |chance, dice| alike(chance, &time, dice)),
        Traffic::Settled => settled(&mut dice, &time),
        Traffic::Installed => {
            let mut sources = settled(&mut dice, &time);
            sources.extend((0..10 + dice.below(50)).map(|_| only_at_first(&time)));
            sources
        }
        Traffic::Bursty => bursty(&mut dice, &time),
        Traffic::Weekly => weekly(&mut dice, &time),
        Traffic::Moving => moving(&mut dice, &time),
        Traffic::Hourly => zipf(&mut dice, 200, |chance, dice| {
            rhythmic(&time, dice, |hour| match hour % 24 {
                8..18 => chance,
                _ => chance / 10.0,
            })
        }),
    };
    time.series(unit, &sources)
}

/// Numbers that look random and are the same in every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn happens(&mut self, probability: f64) -> bool {
        self.fraction() < probability
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.fraction()
    }

    fn below(&mut self, bound: u32) -> u32 {
        (self.fraction() * f64::from(bound)) as u32
    }

    fn poisson(&mut self, mean: f64) -> u32 {
        let mut left = self.fraction() / (-mean).exp();
        let (mut term, mut count) = (1.0, 0);
        while left > term && count < 1_000 {
            left -= term;
            count += 1;
            term *= mean / f64::from(count);
        }
        count
    }
}

/// One destination: when it was reached in the units that are watched and the week after, and the
/// chances of what is to come.
struct Source {
    reached: Vec<u32>,
    /// Chance of being reached in the next unit, and in the week after what is watched.
    next_unit: f64,
    next_week: f64,
    /// Chance that nothing of it comes in the next unit.
    next_none: f64,
    /// Units in which it is to be reached, in the long run, of one.
    share: f64,
}

/// The units that are watched: `units` from `first` on, and the length of the week after them.
struct Time {
    first: u32,
    units: u32,
    week: u32,
}

impl Time {
    fn watched(&self) -> Range<u32> {
        self.first..self.first + self.units
    }

    fn after(&self) -> Range<u32> {
        self.watched().end..self.watched().end + self.week
    }

    fn all(&self) -> Range<u32> {
        self.first..self.after().end
    }

    fn series(&self, unit: SamplingUnit, sources: &[Source]) -> Series {
        let watched = self.watched();
        let mut series = Series {
            covered: watched.clone().collect(),
            destinations: Vec::new(),
            unit,
            coverage: 0.0,
            next_unit: 0.0,
            next_week: 0.0,
            chance: 0.0,
            came_in_week: 0,
        };
        let (mut all, mut none) = (0.0, 1.0);
        for source in sources {
            let seen: Units = source
                .reached
                .iter()
                .copied()
                .filter(|unit| watched.contains(unit))
                .collect();
            all += source.share;
            if seen.is_empty() {
                series.next_unit += source.next_unit;
                none *= source.next_none;
                series.next_week += source.next_week;
                series.came_in_week += u64::from(!source.reached.is_empty());
            } else {
                series.coverage += source.share;
                series.destinations.push(seen);
            }
        }
        series.chance = 1.0 - none;
        series.coverage /= all;
        series
    }
}

fn zipf(
    dice: &mut Dice,
    number: u32,
    mut source: impl FnMut(f64, &mut Dice) -> Source,
) -> Vec<Source> {
    let (steep, top) = (dice.between(0.8, 1.6), dice.between(0.2, 0.95));
    (1..=number)
        .map(|rank| source(top * f64::from(rank).powf(-steep), dice))
        .collect()
}

fn alike(chance: f64, time: &Time, dice: &mut Dice) -> Source {
    rhythmic(time, dice, |_| chance)
}

/// Each unit by itself, with a chance that depends on it.
fn rhythmic(time: &Time, dice: &mut Dice, chance: impl Fn(u32) -> f64) -> Source {
    let chances: Vec<f64> = time.after().map(&chance).collect();
    Source {
        reached: time
            .all()
            .filter(|unit| dice.happens(chance(*unit)))
            .collect(),
        next_unit: chances[0],
        next_none: 1.0 - chances[0],
        next_week: 1.0 - chances.iter().map(|chance| 1.0 - chance).product::<f64>(),
        share: chances.iter().sum::<f64>() / f64::from(time.week),
    }
}

fn settled(dice: &mut Dice, time: &Time) -> Vec<Source> {
    (0..5 + dice.below(36))
        .map(|_| {
            let chance = dice.between(0.1, 1.0);
            alike(chance, time, dice)
        })
        .collect()
}

fn only_at_first(time: &Time) -> Source {
    Source {
        reached: vec![time.first],
        next_unit: 0.0,
        next_week: 0.0,
        next_none: 1.0,
        share: 0.0,
    }
}

fn bursty(dice: &mut Dice, time: &Time) -> Vec<Source> {
    let stay = dice.between(1.5, 5.0);
    let mut sources = zipf(dice, 200, |chance, dice| staying(chance, stay, time, dice));
    let (often, together) = (dice.between(0.03, 0.15), dice.between(2.0, 10.0));
    let batches: Vec<u32> = time.all().filter(|_| dice.happens(often)).collect();
    for _ in 0..300 {
        let chance = together / 300.0;
        let reached = batches.iter().copied().filter(|_| dice.happens(chance));
        sources.push(Source {
            reached: reached.collect(),
            next_unit: often * chance,
            next_week: 1.0 - (1.0 - often * chance).powi(7),
            next_none: 1.0,
            share: often * chance,
        });
    }
    // They come together: one that brings nothing new is as good as none.
    sources.push(Source {
        reached: Vec::new(),
        next_unit: 0.0,
        next_week: 0.0,
        next_none: 1.0 - often,
        share: 0.0,
    });
    sources
}

/// Comes for `stay` units on end, in the mean, and is there in this share of all.
fn staying(share: f64, stay: f64, time: &Time, dice: &mut Dice) -> Source {
    let leaves = 1.0 / stay;
    let comes = (share * leaves / (1.0 - share)).min(1.0);
    let mut is_there = dice.happens(share);
    let mut reached = Vec::new();
    for unit in time.all() {
        if is_there {
            reached.push(unit);
        }
        is_there = dice.happens(if is_there { 1.0 - leaves } else { comes });
    }
    // Of those that were not seen, which alone are asked: they are away.
    Source {
        reached,
        next_unit: comes,
        next_none: 1.0 - comes,
        next_week: 1.0 - (1.0 - comes).powi(7),
        share: comes / (comes + leaves),
    }
}

fn weekly(dice: &mut Dice, time: &Time) -> Vec<Source> {
    let (rest, job) = (dice.below(7), dice.below(7));
    let mut sources = zipf(dice, 200, |chance, dice| {
        rhythmic(time, dice, |day| match (day + rest) % 7 {
            0 | 1 => chance * 0.15,
            _ => chance,
        })
    });
    sources.extend(zipf(dice, 100, |chance, dice| {
        rhythmic(time, dice, |day| match (day + job) % 7 {
            0 => chance,
            _ => 0.0,
        })
    }));
    sources
}

fn moving(dice: &mut Dice, time: &Time) -> Vec<Source> {
    let mut sources: Vec<Source> = (0..10).map(|_| alike(0.9, time, dice)).collect();
    let (births, stay) = (dice.between(0.05, 1.0), dice.between(1.0, 5.0));
    let goes_on = 1.0 - 1.0 / stay;
    let end = time.watched().end;
    for unit in time.all() {
        for _ in 0..dice.poisson(births) {
            let mut reached = vec![unit];
            while dice.happens(goes_on) {
                reached.push(reached[0] + reached.len() as u32);
            }
            let is_there = reached.contains(&(end - 1));
            let left: f64 = (1..=7).map(|day| goes_on.powi(day)).sum();
            // Those to be born are counted below, with what is expected of them.
            let is_known = unit < end;
            reached.retain(|unit| time.all().contains(unit));
            sources.push(Source {
                reached,
                next_unit: 0.0,
                next_week: 0.0,
                next_none: 1.0,
                share: if is_known && is_there {
                    left / 7.0
                } else {
                    0.0
                },
            });
        }
    }
    let unborn: f64 = (1..=7)
        .map(|day| (0..=7 - day).map(|age| goes_on.powi(age)).sum::<f64>())
        .sum();
    sources.push(Source {
        reached: Vec::new(),
        next_unit: births,
        next_none: (-births).exp(),
        next_week: births * 7.0,
        share: births * unborn / 7.0,
    });
    sources
}
