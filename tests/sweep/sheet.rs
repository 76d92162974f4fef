//! Contact sheets of what was painted.

use std::fs;

use impasto_core::picture;

use super::{asset, run, said, succeed};

#[test]
fn a_sweep_becomes_a_picture_and_a_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    // A name that HTML would take for tags.
    let odd = "a\"><script>alert(1)<script>.jpg";
    fs::copy(asset("coffee.jpg"), folder.join(odd)).expect("a copy");
    let text = format!(
        "contents: ['{odd}', {}]\nstyles: [{}]\nset: {{size: 48, iterations: 2}}\n\
         vary: {{colour: [style, content], style.weight: [10, 50]}}\n",
        asset("china.jpg"),
        asset("wave.jpg")
    );
    fs::write(folder.join("grid.yaml"), text).expect("a file");
    let begun = ["sweep", "grid.yaml", "--headless", "--cells", "0-6"];
    succeed(&run(folder, &begun));

    succeed(&run(
        folder,
        &["sheet", "grid", "-o", "sheet.png", "--cell", "64"],
    ));
    let sheet = picture::load(&folder.join("sheet.png")).expect("a picture");
    let (width, height) = sheet.picture.size();
    // Two rows of four cells, 48 pixels wide as they were painted, and the headers.
    assert!(
        (200..700).contains(&width) && (100..400).contains(&height),
        "{width}×{height}"
    );

    succeed(&run(
        folder,
        &["sheet", "grid", "-o", "grid/sheet.html", "--title", "A & B"],
    ));
    let page = fs::read_to_string(folder.join("grid/sheet.html")).expect("a page");
    assert!(!page.contains("<script"), "a name became a tag");
    assert!(page.contains("a&quot;&gt;&lt;script&gt;"));
    assert!(page.contains("A &amp; B"));
    for number in 0..7 {
        let link = format!("href=\"cells/{number:04}/result.png\"");
        assert!(page.contains(&link), "{link}");
    }
    assert!(!page.contains("cells/0007"));
    // The losses, the scores and the recipes are in it; nothing is fetched.
    for words in [
        "total loss",
        "style_<wbr>gram",
        "&quot;impasto&quot;",
        "waiting",
    ] {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains("http://") && !page.contains("https://"));

    // Runs and pictures as a list.
    let picture = "grid/cells/0000/result.png";
    succeed(&run(
        folder,
        &["sheet", "grid/cells/0001", picture, "-o", "list.png"],
    ));
    picture::load(&folder.join("list.png")).expect("a picture");
}

#[test]
fn what_is_no_sheet_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    fs::create_dir(folder.join("empty")).expect("a folder");
    let coffee = asset("coffee.jpg");
    let refuse = |arguments: &[&str], words: &str| {
        let output = run(folder, &[&["sheet"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(
            said(&output).contains(words),
            "{words} in {}",
            said(&output)
        );
    };
    refuse(&["empty", "-o", "a.png"], "empty");
    refuse(&["nowhere", "-o", "a.png"], "no runs yet");
    refuse(&[&coffee, "-o", "a.gif"], "a.gif");
    fs::copy(&coffee, folder.join("mine.jpg")).expect("a copy");
    refuse(
        &["mine.jpg", &coffee, "-o", "mine.jpg"],
        "would be overwritten",
    );
    let kept = fs::read(folder.join("mine.jpg")).expect("a picture");
    assert!(kept == fs::read(&coffee).expect("a picture"));
    let output = run(folder, &["sheet", &coffee, "-o", "nowhere/a.html"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("nowhere/a.html"),
        "{}",
        said(&output)
    );
}
