//! The axes of a sweep as rows and columns.

use std::path::Path;

use impasto_core::picture::Picture;
use impasto_sheet::Header;
use impasto_sweep::{Definition, Style, plain, stem};

/// One axis of a grid.
struct Axis {
    labels: Vec<String>,
    /// The pictures of the labels, for contents and styles.
    pictures: Vec<Option<String>>,
}

/// The axes that have more than one value, cut into those of the rows and those of the
/// columns. Cells are numbered row by row, whatever the cut.
pub struct Axes {
    rows: Vec<Axis>,
    columns: Vec<Axis>,
}

impl Axes {
    /// None for a sweep of rows, which is a list.
    pub fn new(definition: &Definition) -> Option<Self> {
        if !definition.rows.is_empty() {
            return None;
        }
        let contents = Axis {
            labels: definition
                .contents
                .iter()
                .map(|it| stem(it).to_owned())
                .collect(),
            pictures: definition.contents.iter().cloned().map(Some).collect(),
        };
        let styles = Axis {
            labels: definition.styles.iter().map(|it| named(it)).collect(),
            pictures: definition.styles.iter().map(|it| only(it)).collect(),
        };
        let varied = definition.vary.iter().map(|(key, values)| Axis {
            labels: values
                .iter()
                .map(|value| format!("{key} {}", plain(value)))
                .collect(),
            pictures: vec![None; values.len()],
        });
        let all = [contents, styles].into_iter().chain(varied);
        let mut rows: Vec<Axis> = all.filter(|axis| axis.labels.len() > 1).collect();
        let lengths: Vec<usize> = rows.iter().map(|axis| axis.labels.len()).collect();
        let columns = rows.split_off(cut(&lengths));
        Some(Self { rows, columns })
    }

    /// The headers of the rows and of the columns. `load` gives the picture of a file.
    pub fn headers(&self, load: impl Fn(&Path) -> Option<Picture>) -> (Vec<Header>, Vec<Header>) {
        let headers = |axes: &[Axis]| match axes {
            [] => vec![Header::default()],
            [axis] => one(axis, &load),
            axes => combined(axes),
        };
        (headers(&self.rows), headers(&self.columns))
    }
}

/// How many of the axes are rows: as many rows as columns if possible, else more columns.
fn cut(lengths: &[usize]) -> usize {
    let total: f64 = lengths.iter().map(|length| *length as f64).product();
    let skew = |cut: &usize| {
        let rows: f64 = lengths
            .iter()
            .take(*cut)
            .map(|length| *length as f64)
            .product();
        (rows * rows / total).ln().abs()
    };
    match lengths.len() {
        0 | 1 => 0,
        count => (1..count)
            .min_by(|a, b| skew(a).total_cmp(&skew(b)))
            .unwrap_or(1),
    }
}

fn one(axis: &Axis, load: impl Fn(&Path) -> Option<Picture>) -> Vec<Header> {
    let headers = axis.labels.iter().zip(&axis.pictures);
    let header = |(label, picture): (&String, &Option<String>)| Header {
        label: label.clone(),
        picture: picture.as_ref().and_then(|path| load(Path::new(path))),
    };
    headers.map(header).collect()
}

/// Every combination of several axes, the last one changing fastest.
fn combined(axes: &[Axis]) -> Vec<Header> {
    let mut labels = vec![String::new()];
    for axis in axes {
        let joined = |before: &String, label: &String| match before.as_str() {
            "" => label.clone(),
            _ => format!("{before}, {label}"),
        };
        labels = labels
            .iter()
            .flat_map(|before| axis.labels.iter().map(move |label| joined(before, label)))
            .collect();
    }
    let header = |label| Header {
        label,
        picture: None,
    };
    labels.into_iter().map(header).collect()
}

fn named(styles: &[Style]) -> String {
    let names: Vec<&str> = styles.iter().map(|style| stem(&style.path)).collect();
    names.join(" + ")
}

/// The picture of a style that is not blended.
fn only(styles: &[Style]) -> Option<String> {
    match styles {
        [style] => Some(style.path.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn definition() -> Definition {
        let style = |path: &str| {
            vec![Style {
                path: path.to_owned(),
                weight: None,
            }]
        };
        Definition {
            contents: vec!["/p/a.jpg".to_owned(), "/p/b.jpg".to_owned()],
            styles: vec![
                style("/p/s.jpg"),
                [style("/p/s.jpg"), style("/p/t.jpg")].concat(),
            ],
            vary: vec![(
                "style.weight".to_owned(),
                vec![json!(10), json!(50), json!(2.5e3)],
            )],
            ..Definition::default()
        }
    }

    fn labels(definition: &Definition) -> (Vec<String>, Vec<String>) {
        let (rows, columns) = Axes::new(definition).unwrap().headers(|_| None);
        let labels = |headers: Vec<Header>| headers.into_iter().map(|it| it.label).collect();
        (labels(rows), labels(columns))
    }

    #[test]
    fn a_grid_is_cut_into_about_as_many_rows_as_columns() {
        let mut sweep = definition();
        let (rows, columns) = labels(&sweep);
        assert_eq!(rows, ["a, s", "a, s + t", "b, s", "b, s + t"]);
        assert_eq!(
            columns,
            ["style.weight 10", "style.weight 50", "style.weight 2500"]
        );
        sweep.vary.clear();
        let (rows, columns) = labels(&sweep);
        assert_eq!(
            (rows, columns),
            (
                vec!["a".to_owned(), "b".to_owned()],
                vec!["s".to_owned(), "s + t".to_owned()]
            )
        );
        sweep.contents.truncate(1);
        assert_eq!(
            labels(&sweep),
            (
                vec![String::new()],
                vec!["s".to_owned(), "s + t".to_owned()]
            )
        );
        assert_eq!(
            [cut(&[4, 5]), cut(&[2, 2, 2]), cut(&[10, 2, 2]), cut(&[])],
            [1, 1, 1, 0]
        );
    }

    #[test]
    fn pictures_stand_where_there_is_one() {
        let picture = Picture::from_rgb8(1, 1, &[1, 2, 3]).unwrap();
        let mut sweep = definition();
        sweep.vary.clear();
        let axes = Axes::new(&sweep).unwrap();
        let (rows, columns) = axes.headers(|path| path.is_absolute().then(|| picture.clone()));
        assert!(rows.iter().all(|header| header.picture.is_some()));
        assert_eq!(
            columns
                .iter()
                .filter(|header| header.picture.is_some())
                .count(),
            1
        );
    }
}
