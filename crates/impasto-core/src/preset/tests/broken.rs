//! The broken files under `tests/presets`: one mistake each, reported with its place.

use super::*;

/// What is wrong in a file of `tests/presets`, and in which place.
struct Broken {
    file: &'static str,
    place: (usize, usize),
    /// The text above the carets.
    marked: &'static str,
    message: &'static str,
}

const fn broken(
    file: &'static str,
    place: (usize, usize),
    marked: &'static str,
    message: &'static str,
) -> Broken {
    Broken {
        file,
        place,
        marked,
        message,
    }
}

#[rustfmt::skip]
const BROKEN: &[Broken] = &[
    broken("after_multibyte.yaml", (1, 19), "\"größe\"",
        "unknown optimizer `größe`"),
    broken("bad_indent.yaml", (3, 3), "layers",
        "not valid YAML: did not find expected key, while parsing a block mapping"),
    broken("byte_order_mark.yaml", (1, 1), "sede",
        "unknown key `sede` in a preset; did you mean `seed`?"),
    broken("carriage_returns.yaml", (3, 1), "sede",
        "unknown key `sede` in a preset; did you mean `seed`?"),
    broken("control_character.yaml", (2, 11), "�",
        "a control character, which YAML does not allow"),
    broken("crlf.yaml", (3, 11), "lots",
        "expected a weight: a number from 0 to 1e30, found the text \"lots\""),
    broken("deep.yaml", (1, 71), "[",
        "more than 64 brackets are open here"),
    broken("duplicate_key.yaml", (3, 1), "seed",
        "the key `seed` is given twice"),
    broken("duplicate_layer.yaml", (5, 5), "relu1_1",
        "the layer `relu1_1` is given twice"),
    broken("duplicate_layer_in_list.yaml", (4, 7), "relu1_1",
        "the layer `relu1_1` is given twice"),
    broken("empty.yaml", (1, 1), "",
        "the file is empty; a preset has at least one key, such as `description`"),
    broken("history_zero.yaml", (1, 22), "0",
        "expected a history: a whole number from 1 to 1000, found `0`"),
    broken("iterations_huge.yaml", (1, 36), "99999999999999999999",
        "expected iterations: a whole number from 1 to 1000000, found `99999999999999999999`"),
    broken("iterations_zero.yaml", (3, 17), "0",
        "expected iterations: a whole number from 1 to 1000000, found `0`"),
    broken("just_text.yaml", (1, 1), "style",
        "expected a preset (a mapping of name, description, network, pooling, content, style, colour, masks, smoothness, normalize_gradients, average, optimizer, schedule, start, start_noise, seed, finish, output), found the text \"style\""),
    broken("line_separator.yaml", (3, 9), "wieght",
        "unknown key `wieght` in the style term; did you mean `weight`?"),
    broken("long_line.yaml", (2, 161), "wieght",
        "unknown key `wieght` in the style term; did you mean `weight`?"),
    broken("merge_key.yaml", (4, 3), "<<",
        "unknown key `<<` in the content term"),
    broken("multibyte.yaml", (2, 31), "\"größe 画\"",
        "unknown key `größe 画` in the style term"),
    broken("name_empty.yaml", (1, 7), "\"\"",
        "expected a name: text of 1 to 64 characters, found the text \"\""),
    broken("name_escape.yaml", (1, 7), "\"red\\e[31m\"",
        "control or invisible characters are not allowed"),
    broken("name_long.yaml", (1, 7), "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "expected a name: text of 1 to 64 characters, found the text \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…"),
    broken("name_number.yaml", (1, 7), "2024",
        "expected a name: text of 1 to 64 characters, found `2024`"),
    broken("network_name.yaml", (1, 10), "my/net",
        "`my/net` is no name of a network"),
    broken("not_a_mapping.yaml", (2, 1), "-",
        "expected a preset (a mapping of name, description, network, pooling, content, style, colour, masks, smoothness, normalize_gradients, average, optimizer, schedule, start, start_noise, seed, finish, output), found a list"),
    broken("not_utf8.yaml", (2, 10), "�",
        "not UTF-8 text; save the file as UTF-8"),
    broken("only_carriage_returns.yaml", (1, 1), "",
        "the file is empty; a preset has at least one key, such as `description`"),
    broken("only_comments.yaml", (1, 1), "#",
        "the file is empty; a preset has at least one key, such as `description`"),
    broken("optimizer_unknown.yaml", (2, 9), "sgd",
        "unknown optimizer `sgd`"),
    broken("optimizer_word_unknown.yaml", (1, 12), "lbgfs",
        "unknown optimizer `lbgfs`; did you mean `lbfgs`?"),
    broken("pooling_unknown.yaml", (1, 10), "averge",
        "unknown pooling `averge`; did you mean `average`?"),
    broken("rate_zero.yaml", (3, 9), "0",
        "expected a rate: a number above 0, at most 1000, found `0`"),
    broken("schedule_empty.yaml", (2, 11), "[",
        "the schedule is empty; it needs at least one scale, such as {size: 512, iterations: 200}"),
    broken("schedule_mapping.yaml", (2, 3), "size",
        "expected a schedule: a list such as [{size: 512, iterations: 200}], found a mapping"),
    broken("seed_negative.yaml", (1, 7), "-5",
        "expected a seed: a whole number from 0 to 18446744073709551615, found `-5`"),
    broken("seed_text.yaml", (1, 7), "random",
        "expected a seed: a whole number from 0 to 18446744073709551615, found the text \"random\""),
    broken("size_fraction.yaml", (2, 12), "512.5",
        "expected a size: a whole number of pixels from 16 to 16384, found `512.5`"),
    broken("size_large.yaml", (2, 12), "16385",
        "expected a size: a whole number of pixels from 16 to 16384, found `16385`"),
    broken("size_small.yaml", (2, 11), "15",
        "expected a size: a whole number of pixels from 16 to 16384, found `15`"),
    broken("start_list.yaml", (1, 8), "[",
        "expected the start: content, noise, style, a colour or the path of a picture, found a list"),
    broken("start_unknown.yaml", (1, 8), "contnet",
        "unknown start `contnet`; did you mean `content`?"),
    broken("style_nothing.yaml", (2, 1), "style",
        "expected the style term (a mapping of weight, layers, statistic, shift, scale, blend, blend_weights, guides), found nothing"),
    broken("style_word.yaml", (1, 8), "starry",
        "expected the style term (a mapping of weight, layers, statistic, shift, scale, blend, blend_weights, guides), found the text \"starry\""),
    broken("tab.yaml", (2, 1), " ",
        "a tab cannot indent YAML; use spaces"),
    broken("tag.yaml", (1, 7), "!big",
        "expected a seed: a whole number from 0 to 18446744073709551615, found a tag"),
    broken("two_colons.yaml", (2, 9), ":",
        "not valid YAML: mapping values are not allowed in this context"),
    broken("two_documents.yaml", (2, 1), "---",
        "a second document; a preset file holds one preset"),
    broken("unclosed_list.yaml", (3, 5), ":",
        "not valid YAML: did not find expected ',' or ']', while parsing a flow sequence"),
    broken("unclosed_quote.yaml", (1, 7), "\"mine",
        "not valid YAML: found unexpected end of stream, while scanning a quoted scalar"),
    broken("unknown_anchor.yaml", (1, 7), "*other",
        "not valid YAML: unknown anchor"),
    broken("unknown_key.yaml", (2, 1), "stile",
        "unknown key `stile` in a preset; did you mean `style`?"),
    broken("unknown_key_in_flow.yaml", (2, 17), "iter",
        "unknown key `iter` in a scale; did you mean `iterations`?"),
    broken("unknown_layer.yaml", (7, 5), "relu4_9",
        "unknown layer `relu4_9`; did you mean `relu4_3`?"),
    broken("unknown_layer_in_list.yaml", (2, 21), "conv4_2",
        "unknown layer `conv4_2`; did you mean `relu4_2`?"),
    broken("unknown_nested_key.yaml", (2, 3), "wieght",
        "unknown key `wieght` in the style term; did you mean `weight`?"),
    broken("weight_huge.yaml", (2, 11), "1e31",
        "expected a weight: a number from 0 to 1e30, found `10000000000000000000000000000000`"),
    broken("weight_infinite.yaml", (2, 11), ".inf",
        "expected a weight: a number from 0 to 1e30, found `inf`"),
    broken("weight_mapping.yaml", (3, 5), "relu1_1",
        "expected a weight: a number from 0 to 1e30, found a mapping"),
    broken("weight_missing.yaml", (2, 3), "weight",
        "expected a weight: a number from 0 to 1e30, found nothing"),
    broken("weight_missing_at_end.yaml", (3, 3), "weight",
        "expected a weight: a number from 0 to 1e30, found nothing"),
    broken("weight_nan.yaml", (2, 21), ".nan",
        "expected a weight: a number from 0 to 1e30, found `NaN`"),
    broken("weight_negative.yaml", (2, 11), "-1",
        "expected a weight: a number from 0 to 1e30, found `-1`"),
    broken("weight_text.yaml", (2, 11), "\"very heavy\"",
        "expected a weight: a number from 0 to 1e30, found the text \"very heavy\""),
    broken("average_one.yaml", (1, 10), "1",
        "expected the decay of an average: a number from 0 (off) to 0.9999, found `1`"),
    broken("blend_weights_negative.yaml", (2, 24), "-1",
        "expected a weight: a number from 0 to 1e30, found `-1`"),
    broken("blend_weights_number.yaml", (2, 18), "0.5",
        "expected a list of weights, one for each style: [0.7, 0.3], found `0.5`"),
    broken("colour_word.yaml", (1, 9), "contents",
        "unknown colour `contents`; did you mean `content`?"),
    broken("finish_denoise.yaml", (1, 19), "2",
        "expected a number from 0 to 1, found `2`"),
    broken("finish_key.yaml", (1, 10), "sharpness",
        "unknown key `sharpness` in the finish; did you mean `sharpen`?"),
    broken("mask_style_zero.yaml", (2, 26), "0",
        "expected the number of a style: a whole number from 1 to 16, found `0`"),
    broken("mask_without_file.yaml", (2, 3), "-",
        "a mask needs a file: {file: sky.png, style: 1}"),
    broken("normalize_number.yaml", (1, 22), "2",
        "expected true or false, found `2`"),
    broken("output_depth.yaml", (1, 17), "12",
        "expected the bits of a channel: 8 or 16, found `12`"),
    broken("output_quality.yaml", (1, 19), "0",
        "expected a quality: a whole number from 1 to 100, found `0`"),
    broken("smoothness_norm.yaml", (1, 20), "l3",
        "unknown norm `l3`"),
    broken("start_colour.yaml", (1, 8), "\"#12345\"",
        "unknown start `#12345`"),
    broken("statistic_layer.yaml", (2, 15), "relu9_1",
        "unknown layer `relu9_1`; did you mean `relu5_1`?"),
    broken("statistic_twice.yaml", (2, 30), "relu1_1",
        "the layer `relu1_1` is given twice"),
    broken("statistic_word.yaml", (2, 14), "gramm",
        "unknown statistic `gramm`; did you mean `gram`?"),
    broken("style_scale_large.yaml", (2, 10), "9",
        "expected a style scale: a number from 0.1 to 4, or a list with one for each style, found `9`"),
];

#[test]
fn each_broken_file_is_reported_with_its_place() {
    let mut files = files("tests/presets");
    for row in BROKEN {
        files.remove(row.file).expect(row.file);
        let path = folder("tests/presets").join(row.file);
        let error = built_in().find(path.to_str().unwrap()).expect_err(row.file);
        let shown = error.to_string();
        let location = error.location().expect(row.file);
        assert_eq!((location.line, location.column), row.place, "{shown}");
        assert_eq!(location.origin, path.to_str().unwrap());

        let mut lines = shown.lines();
        let first = lines.next().unwrap();
        let head = format!("{}:{}:{}: ", location.origin, row.place.0, row.place.1);
        assert_eq!(first.strip_prefix(&head), Some(row.message), "{shown}");
        let (source, carets) = (lines.nth(1), lines.next());
        let marked: String = source
            .unwrap_or_default()
            .chars()
            .zip(carets.unwrap_or_default().chars())
            .filter(|(_, caret)| *caret == '^')
            .map(|(character, _)| character)
            .collect();
        assert_eq!(marked, row.marked, "{shown}");
    }
    assert!(files.is_empty(), "no test reads {:?}", files.keys());
}
