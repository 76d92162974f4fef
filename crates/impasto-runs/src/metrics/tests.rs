use std::fs;
use std::io::Write;
use std::path::Path;

use super::*;
use crate::tests::step;

/// Losses in a folder of their own.
fn metrics(folder: &Path, keep_until: Option<u32>) -> Metrics {
    Metrics::open(&Folder::open(folder).unwrap(), keep_until).unwrap()
}

fn iterations(folder: &Path) -> Vec<u32> {
    let steps = read(&Folder::open(folder).unwrap()).unwrap();
    steps.iter().map(|step| step.iteration).collect()
}

#[test]
fn steps_out_of_order_are_put_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut metrics = metrics(folder.path(), None);
    for iteration in [3, 1, 4, 1, 5, 9, 2, 6] {
        metrics.append(&step(iteration, 1)).unwrap();
    }
    metrics.flush().unwrap();
    assert_eq!(iterations(folder.path()), [1, 2, 3, 4, 5, 6, 9]);
}

#[test]
fn steps_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    assert!(iterations(folder.path()).is_empty());
    let mut metrics = metrics(folder.path(), None);
    let steps: Vec<Step> = (1..=500).map(|iteration| step(iteration, 1)).collect();
    for step in &steps {
        metrics.append(step).unwrap();
    }
    assert!(
        !read(&Folder::open(folder.path()).unwrap())
            .unwrap()
            .is_empty()
    );
    metrics.flush().unwrap();
    assert_eq!(read(&Folder::open(folder.path()).unwrap()).unwrap(), steps);
}

#[test]
fn long_runs_are_thinned_but_every_scale_begins() {
    let folder = tempfile::tempdir().unwrap();
    let mut metrics = metrics(folder.path(), None);
    for iteration in 1..=250_000 {
        metrics
            .append(&step(iteration, 1 + iteration / 12_345))
            .unwrap();
    }
    drop(metrics);
    let iterations = iterations(folder.path());
    let up_to = |last: u32| iterations.iter().filter(|it| **it <= last).count();
    assert_eq!(up_to(10_000), 10_000);
    // Eight scales begin up to 100,000; one of them at a tenth iteration.
    let begins = |from: u32, last: u32, stride: u32| {
        (1..=20)
            .map(|scale| scale * 12_345)
            .filter(|it| (from..=last).contains(it) && it % stride != 0)
            .count()
    };
    assert_eq!(up_to(100_000), 19_000 + begins(10_001, 100_000, 10));
    assert_eq!(
        up_to(250_000) - up_to(100_000),
        1500 + begins(100_001, 250_000, 100)
    );
    assert!(iterations.contains(&(9 * 12_345)));
    assert_eq!(stride(u32::MAX), 1_000_000);
}

#[test]
fn a_run_that_goes_on_forgets_what_came_after() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.jsonl");
    let mut first = metrics(folder.path(), None);
    for iteration in 1..=40 {
        first.append(&step(iteration, 1 + iteration / 30)).unwrap();
    }
    drop(first);
    // A crash in the middle of a line.
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"{\"event\":\"step\",\"iterat").unwrap();
    let mut second = metrics(folder.path(), None);
    second.append(&step(41, 2)).unwrap();
    drop(second);
    assert_eq!(iterations(folder.path()), (1..=41).collect::<Vec<_>>());
    let mut third = metrics(folder.path(), Some(25));
    assert_eq!(third.scale, Some(1));
    for iteration in 26..=30 {
        third.append(&step(iteration, 1)).unwrap();
    }
    drop(third);
    assert_eq!(iterations(folder.path()), (1..=30).collect::<Vec<_>>());
    drop(metrics(folder.path(), Some(0)));
    assert_eq!(fs::metadata(&path).unwrap().len(), 0);
}

#[test]
fn bad_lines_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.jsonl");
    let line = |iteration| serde_json::to_string(&Event::Step(step(iteration, 1))).unwrap();
    let mut text = b"\n\xff\xfe\n{}\n[1]\n".to_vec();
    text.extend(line(1).bytes());
    text.extend(b"\n{\"event\":\"paused\",\"iteration\":1}\n");
    // As long as memory would be, and then a good line.
    text.extend(vec![b'x'; 3 * MAX_LINE]);
    text.extend(format!("\n{}\n", line(2)).bytes());
    text.extend(line(3).bytes());
    fs::write(&path, &text).unwrap();
    assert_eq!(iterations(folder.path()), [1, 2, 3]);
    drop(metrics(folder.path(), None));
    assert_eq!(iterations(folder.path()), [1, 2]);
    for cut in (0..text.len()).step_by(97) {
        fs::write(&path, &text[..cut]).unwrap();
        iterations(folder.path());
        drop(metrics(folder.path(), Some(1)));
    }
}

#[test]
fn a_full_disk_is_reported_once_and_forgotten_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut metrics = metrics(folder.path(), None);
    for iteration in 1..=10 {
        metrics.append(&step(iteration, 1)).unwrap();
    }
    metrics.flush().unwrap();
    let disk = metrics.file.try_clone().unwrap();
    // Opened to read alone, it cannot be written to, nor cut.
    metrics.file = File::open(&metrics.path).unwrap();
    let mut reported = 0;
    for iteration in 11..=20_000 {
        reported += usize::from(metrics.append(&step(iteration, 1)).is_err());
        if iteration % 1000 == 0 {
            reported += usize::from(metrics.flush().is_err());
        }
        assert!(metrics.waiting.len() <= MAX_WAITING);
    }
    assert_eq!(reported, 1);
    // Half a line had come through.
    (&disk).write_all(b"{\"event\":\"st").unwrap();
    metrics.file = disk;
    metrics.flush().unwrap();
    metrics.append(&step(20_001, 2)).unwrap();
    drop(metrics);
    let iterations = iterations(folder.path());
    assert!(iterations.is_sorted());
    assert_eq!(iterations[..11], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    assert_eq!(iterations.last(), Some(&20_001));
    assert!((1000..=MAX_WAITING + 20).contains(&iterations.len()));
}

#[test]
fn a_table_has_a_column_for_every_layer() {
    let mut other = step(2, 1);
    other.layers.style.clear();
    let mut text = Vec::new();
    csv(&[step(1, 1), other], &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let expected = "\
iteration,scale,width,height,content,style,smoothness,total,elapsed,content_relu4_2,style_relu1_1,style_relu2_1
1,1,32,24,10000,1000000,10.5,1010010.5,0.125,0.1,1000000,3
2,1,32,24,10000,500000,10.5,510010.5,0.25,0.1,,
";
    assert_eq!(text, expected);
}
