//! Which contacts and flows a question is about.

use crate::model::{Timestamp, Window};

use super::value::json;

/// Which contacts a question is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContactQuery {
    /// Window, widened to whole UTC hours.
    pub window: Window,
    /// Windows that are left out, narrowed to whole UTC hours.
    pub except: Vec<Window>,
    /// Glob over the application's text form, its context, its program or its script.
    pub application: Option<String>,
    /// Glob over names and addresses of destinations.
    pub to: Option<String>,
    /// Host.
    pub host: Option<String>,
}

/// A query as statements take it.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    /// First nanosecond inside.
    pub(super) since: i64,
    /// First nanosecond after.
    pub(super) until: i64,
    /// Windows that are left out: a JSON list of pairs.
    pub(super) except: String,
    /// The same as numbers.
    pub(super) left_out: Vec<(i64, i64)>,
    /// The same in order, none touching another.
    gaps: Vec<(i64, i64)>,
    /// Pattern for GLOB.
    pub(super) application: Option<String>,
    /// Pattern for GLOB.
    pub(super) to: Option<String>,
    /// Host.
    pub(super) host: Option<String>,
}

impl Bounds {
    pub(super) fn of(query: &ContactQuery) -> Self {
        let except: Vec<(i64, i64)> = query.except.iter().filter_map(narrowed).collect();
        Self {
            since: query
                .window
                .since
                .map_or(i64::MIN, |at| at.hour().unix_ns()),
            until: query.window.until.map_or(i64::MAX, next_full_hour),
            except: json(&except),
            gaps: merged(except.clone()),
            left_out: except,
            application: query.application.as_deref().map(glob),
            to: query.to.as_deref().map(glob),
            host: query.host.clone(),
        }
    }
}

impl Bounds {
    /// What is asked for, in order: the window without what is left out.
    pub(super) fn stretches(&self) -> Vec<(i64, i64)> {
        let mut stretches = Vec::new();
        let mut from = self.since;
        for (since, until) in &self.gaps {
            if *since > from {
                stretches.push((from, (*since).min(self.until)));
            }
            from = from.max(*until);
        }
        stretches.push((from, self.until));
        stretches.retain(|(since, until)| since < until);
        stretches
    }
}

/// Windows in order, those that touch made one.
fn merged(mut windows: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    windows.sort_unstable();
    let mut merged: Vec<(i64, i64)> = Vec::new();
    for (since, until) in windows {
        match merged.last_mut() {
            Some(last) if since <= last.1 => last.1 = last.1.max(until),
            _ => merged.push((since, until)),
        }
    }
    merged
}

/// The whole hours inside a window, if there are any.
fn narrowed(window: &Window) -> Option<(i64, i64)> {
    let since = window.since.map_or(i64::MIN, next_full_hour);
    let until = window.until.map_or(i64::MAX, |at| at.hour().unix_ns());
    (since < until).then_some((since, until))
}

fn next_full_hour(at: Timestamp) -> i64 {
    if at.hour() == at {
        at.unix_ns()
    } else {
        at.next_hour().unix_ns()
    }
}

/// Our globs know `*` and `?`; SQLite's know classes too, which would surprise in IPv6 and argv.
fn glob(pattern: &str) -> String {
    pattern.replace('[', "[[]")
}

#[cfg(test)]
mod tests {
    use super::{Bounds, ContactQuery};
    use crate::model::{Timestamp, Window};

    const HOUR: i64 = 3_600_000_000_000;

    fn window(since: i64, until: i64) -> Window {
        Window {
            since: Some(Timestamp::from_unix_ns(since)),
            until: Some(Timestamp::from_unix_ns(until)),
        }
    }

    #[test]
    fn windows_widen_and_exceptions_narrow_to_whole_hours() {
        let bounds = Bounds::of(&ContactQuery {
            window: window(HOUR + 1, 3 * HOUR + 1),
            except: vec![
                window(HOUR + 1, 3 * HOUR - 1),
                window(5 * HOUR, 6 * HOUR),
                window(HOUR + 1, HOUR + 2),
            ],
            ..ContactQuery::default()
        });
        assert_eq!((bounds.since, bounds.until), (HOUR, 4 * HOUR));
        // The first holds no whole hour after narrowing, nor does the last.
        assert_eq!(bounds.except, format!("[[{},{}]]", 5 * HOUR, 6 * HOUR));
    }

    #[test]
    fn what_is_left_out_cuts_the_window_wherever_it_lies() {
        let bounds = |except: Vec<Window>| {
            Bounds::of(&ContactQuery {
                window: window(2 * HOUR, 20 * HOUR),
                except,
                ..ContactQuery::default()
            })
            .stretches()
        };
        assert_eq!(bounds(vec![]), [(2 * HOUR, 20 * HOUR)]);
        // Overlapping ones in any order, one at each edge, one inside another.
        assert_eq!(
            bounds(vec![
                window(9 * HOUR, 12 * HOUR),
                window(0, 3 * HOUR),
                window(5 * HOUR, 10 * HOUR),
                window(6 * HOUR, 7 * HOUR),
                window(19 * HOUR, 30 * HOUR),
            ]),
            [(3 * HOUR, 5 * HOUR), (12 * HOUR, 19 * HOUR)]
        );
        assert!(bounds(vec![window(0, 20 * HOUR)]).is_empty());
        assert_eq!(
            bounds(vec![window(30 * HOUR, 40 * HOUR)]),
            [(2 * HOUR, 20 * HOUR)]
        );
    }

    #[test]
    fn brackets_are_no_classes() {
        let query = ContactQuery {
            application: Some("* /opt/[x] *".to_owned()),
            ..ContactQuery::default()
        };
        assert_eq!(
            Bounds::of(&query).application.as_deref(),
            Some("* /opt/[[]x] *")
        );
    }
}
