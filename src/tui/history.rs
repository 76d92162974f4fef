//! The losses of a run, kept light however long it gets.
//!
//! The latest points are kept in full. What leaves them is thinned: a bucket of
//! points becomes two, the one with the lowest total and the one with the
//! highest, and whenever the thinned part is full, its neighbours are merged by
//! the same rule and buckets hold twice as many from then on. A mean would
//! smooth away the spikes that show trouble, and the last of each bucket
//! would miss most of them; the extremes keep every spike, and every point
//! shown is one that was measured.

use std::collections::VecDeque;

/// How many of the latest points are kept in full.
const RECENT: usize = 2048;
/// How many points the older part holds before it is thinned again.
const OLDER: usize = 4096;
/// How many marks are kept. A schedule has few scales; changes of a weight can
/// be many.
const MARKS: usize = 256;

/// The weighted losses at one iteration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Counted over the whole run, from 1.
    pub iteration: u32,
    pub content: f64,
    pub style: f64,
    pub smoothness: f64,
    pub total: f64,
}

/// Something that makes the losses jump for a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A scale of the schedule began.
    Scale,
    /// The preset changed.
    Change,
}

/// The losses of a run, in order of iteration.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The first point of all, once it has left `recent`.
    first: Option<Point>,
    /// Thinned points between `first` and `bucket`.
    older: Vec<Point>,
    /// What has left `recent` and is not yet in `older`.
    bucket: Option<Bucket>,
    /// How often `older` was thinned: a bucket holds `2 << thinned` points.
    thinned: u32,
    recent: VecDeque<Point>,
    marks: VecDeque<(u32, Mark)>,
}

impl History {
    /// Adds a point. One that is not later than the last is left out: call
    /// [`History::clear`] when a new run begins.
    pub fn push(&mut self, point: Point) {
        if self
            .last()
            .is_some_and(|last| point.iteration <= last.iteration)
        {
            return;
        }
        self.recent.push_back(point);
        if self.recent.len() > RECENT
            && let Some(point) = self.recent.pop_front()
        {
            self.thin(point);
        }
    }

    /// Takes in a point that is no longer recent.
    fn thin(&mut self, point: Point) {
        if self.first.is_none() {
            self.first = Some(point);
            return;
        }
        let bucket = match self.bucket.take() {
            None => Bucket::new(point),
            Some(bucket) => bucket.with(point),
        };
        if bucket.count < 2_u64 << self.thinned {
            self.bucket = Some(bucket);
            return;
        }
        self.older.extend(bucket.points());
        if self.older.len() >= OLDER {
            self.older = self
                .older
                .chunks(4)
                .flat_map(|chunk| {
                    let bucket = chunk[1..]
                        .iter()
                        .fold(Bucket::new(chunk[0]), |bucket, &point| bucket.with(point));
                    bucket.points()
                })
                .collect();
            self.thinned += 1;
        }
    }

    /// Notes that something happened at this iteration. The latest 256 marks
    /// are kept.
    pub fn mark(&mut self, iteration: u32, mark: Mark) {
        // A key that is held down changes the same weight many times over.
        if self.marks.back() == Some(&(iteration, mark)) {
            return;
        }
        if self.marks.len() == MARKS {
            self.marks.pop_front();
        }
        self.marks.push_back((iteration, mark));
    }

    /// The marks, in the order in which they were made.
    pub fn marks(&self) -> impl Iterator<Item = (u32, Mark)> {
        self.marks.iter().copied()
    }

    /// The latest point.
    pub fn last(&self) -> Option<Point> {
        self.recent.back().copied()
    }

    /// Every point that is kept, from the first of the run to the last.
    pub fn whole(&self) -> impl Iterator<Item = Point> {
        self.first
            .into_iter()
            .chain(self.older.iter().copied())
            .chain(self.bucket.iter().flat_map(Bucket::points))
            .chain(self.recent.iter().copied())
    }

    /// The points kept of these iterations, both ends included.
    pub fn between(&self, first: u32, last: u32) -> impl Iterator<Item = Point> {
        self.whole()
            .skip_while(move |point| point.iteration < first)
            .take_while(move |point| point.iteration <= last)
    }

    /// The points kept of the latest `iterations` iterations.
    pub fn window(&self, iterations: u32) -> impl Iterator<Item = Point> {
        let last = self.last().map_or(0, |point| point.iteration);
        self.whole()
            .skip_while(move |point| last - point.iteration >= iterations)
    }

    /// The point kept that is nearest to this iteration.
    pub fn nearest(&self, iteration: u32) -> Option<Point> {
        self.whole()
            .min_by_key(|point| point.iteration.abs_diff(iteration))
    }

    /// How many points are kept.
    pub fn len(&self) -> usize {
        self.whole().count()
    }

    /// Whether nothing was pushed yet.
    pub fn is_empty(&self) -> bool {
        self.recent.is_empty()
    }

    /// Forgets all points and marks.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The extremes of neighbouring points. One whose total is not finite is only
/// kept where there is no other.
#[derive(Clone, Debug)]
struct Bucket {
    low: Point,
    high: Point,
    count: u64,
}

impl Bucket {
    fn new(point: Point) -> Self {
        Self {
            low: point,
            high: point,
            count: 1,
        }
    }

    fn with(mut self, point: Point) -> Self {
        let finite = point.total.is_finite();
        if !self.low.total.is_finite() || (finite && point.total < self.low.total) {
            self.low = point;
        }
        // Of equal points the later, so that a flat stretch keeps both its ends.
        if !self.high.total.is_finite() || (finite && point.total >= self.high.total) {
            self.high = point;
        }
        self.count += 1;
        self
    }

    /// One or two points, in order.
    fn points(&self) -> impl Iterator<Item = Point> + use<> {
        let (low, high) = (self.low, self.high);
        let (earlier, later) = if low.iteration <= high.iteration {
            (low, high)
        } else {
            (high, low)
        };
        let second = (earlier.iteration != later.iteration).then_some(later);
        std::iter::once(earlier).chain(second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(iteration: u32, total: f64) -> Point {
        Point {
            iteration,
            content: total * 0.75,
            style: total * 0.25,
            smoothness: 0.0,
            total,
        }
    }

    fn history(totals: impl IntoIterator<Item = f64>) -> History {
        let mut history = History::default();
        for (iteration, total) in (1..).zip(totals) {
            history.push(point(iteration, total));
        }
        history
    }

    fn ordered(history: &History) -> bool {
        let iterations: Vec<u32> = history.whole().map(|point| point.iteration).collect();
        iterations.is_sorted_by(|a, b| a < b)
    }

    #[test]
    fn a_short_run_is_kept_in_full() {
        let history = history((1..=3000).map(f64::from));
        let iterations: Vec<u32> = history.whole().map(|point| point.iteration).collect();
        assert_eq!(iterations, (1..=3000).collect::<Vec<_>>());
        assert_eq!(history.len(), 3000);
    }

    #[test]
    fn a_million_points_stay_few_and_in_order() {
        let mut history = History::default();
        for iteration in 1..=1_000_000 {
            history.push(point(iteration, 1e9 / f64::from(iteration)));
            if iteration % 997 == 0 {
                assert!(history.len() <= 1 + OLDER + 2 + RECENT);
            }
        }
        assert!(history.older.capacity() <= 2 * OLDER);
        assert!(ordered(&history));
        assert!(history.len() > RECENT + OLDER / 2 - 4);
        assert_eq!(history.whole().next().map(|point| point.iteration), Some(1));
        assert_eq!(history.last().map(|point| point.iteration), Some(1_000_000));
        let gaps: Vec<u32> = history
            .whole()
            .zip(history.whole().skip(1))
            .map(|(a, b)| b.iteration - a.iteration)
            .collect();
        let widest = gaps.iter().max().copied().unwrap_or_default();
        assert!(widest <= 2 << history.thinned, "{widest}");
        assert!(gaps[gaps.len() + 1 - RECENT..].iter().all(|&gap| gap == 1));
    }

    #[test]
    fn a_lone_spike_survives_thinning() {
        let totals = (1..=100_000).map(|i| match i {
            777 => 50.0,
            40_001 => 0.5,
            _ => 1.0 + 0.1 * f64::from(i % 7),
        });
        let history = history(totals);
        let has = |iteration| history.whole().any(|point| point.iteration == iteration);
        assert!(history.thinned > 3 && has(777) && has(40_001));
    }

    #[test]
    fn numbers_that_are_not_finite_do_not_displace_those_that_are() {
        let totals = (1..=100_000).map(|i| match i % 4 {
            1 => f64::NAN,
            2 => f64::INFINITY,
            3 => f64::NEG_INFINITY,
            _ => f64::from(i),
        });
        let history = history(totals);
        assert!(ordered(&history));
        let old = history.older.iter();
        assert!(old.clone().count() > 1000);
        assert!(old.clone().all(|point| point.total.is_finite()));
        let hopeless = self::history((0..100_000).map(|_| f64::NAN));
        assert!(ordered(&hopeless) && hopeless.older.len() <= OLDER);
    }

    #[test]
    fn a_point_that_is_not_later_is_left_out() {
        let mut history = history([3.0, 2.0]);
        history.push(point(2, 9.0));
        history.push(point(1, 9.0));
        assert_eq!(history.len(), 2);
        assert_eq!(history.last(), Some(point(2, 2.0)));
        history.clear();
        assert!(history.is_empty());
        history.push(point(1, 9.0));
        assert_eq!(history.last(), Some(point(1, 9.0)));
    }

    #[test]
    fn parts_of_the_run_are_found() {
        let mut history = History::default();
        assert_eq!(history.nearest(5), None);
        assert_eq!(history.window(5).count(), 0);
        for iteration in (10..=100).step_by(10) {
            history.push(point(iteration, 1.0));
        }
        let iterations = |points: Vec<Point>| -> Vec<u32> {
            points.into_iter().map(|point| point.iteration).collect()
        };
        assert_eq!(iterations(history.window(21).collect()), [80, 90, 100]);
        assert_eq!(iterations(history.window(0).collect()), [0; 0]);
        assert_eq!(iterations(history.between(20, 39).collect()), [20, 30]);
        let nearest = |iteration| history.nearest(iteration).map(|point| point.iteration);
        assert_eq!(nearest(0), Some(10));
        assert_eq!(nearest(56), Some(60));
        assert_eq!(nearest(u32::MAX), Some(100));
    }

    #[test]
    fn marks_are_bounded_and_not_doubled() {
        let mut history = History::default();
        for _ in 0..10 {
            history.mark(1, Mark::Change);
        }
        assert_eq!(history.marks().collect::<Vec<_>>(), [(1, Mark::Change)]);
        for iteration in 0..10_000 {
            history.mark(iteration, Mark::Scale);
        }
        assert_eq!(history.marks().count(), MARKS);
        assert_eq!(history.marks().last(), Some((9999, Mark::Scale)));
    }
}
