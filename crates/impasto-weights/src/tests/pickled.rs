//! State dicts that PyTorch would not write, in its old format, where nothing
//! but the pickles stands between the bytes and the tensors.

use super::*;

/// A reference to storage `key` of this many elements.
fn storage(class: &str, key: &str, count: &str) -> String {
    format!("(U\u{7}storagectorch\n{class}\nU\u{1}{key}U\u{3}cpu{count}tQ")
}

/// A small number.
fn small(number: u8) -> String {
    format!("K{}", char::from(number))
}

/// A tensor of that storage.
fn tensor(storage: &str, offset: &str, shape: &str, strides: &str) -> String {
    format!("ctorch._utils\n_rebuild_tensor_v2\n({storage}{offset}{shape}{strides}N}}tR")
}

/// A file whose state dict is made by these instructions, with one storage
/// `0` of two float32 numbers, 1 and 2.
fn file(state: impl AsRef<[u8]>) -> Vec<u8> {
    file_with(state, b"]U\x010a.", 2)
}

fn file_with(state: impl AsRef<[u8]>, keys: &[u8], count: u64) -> Vec<u8> {
    let mut file =
        b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.".to_vec();
    file.extend(b"\x80\x02}.\x80\x02");
    file.extend(state.as_ref());
    file.extend(b".\x80\x02");
    file.extend(keys);
    file.extend(count.to_le_bytes());
    file.extend([1.0_f32, 2.0].map(f32::to_le_bytes).concat());
    file
}

/// A dictionary with this tensor as `a`.
fn named(tensor: &str) -> String {
    format!("}}U\u{1}a{tensor}s")
}

/// The usual tensor, `[2]`.
fn usual() -> String {
    let float = storage("FloatStorage", "0", &small(2));
    tensor(&float, &small(0), "K\u{2}\u{85}", "K\u{1}\u{85}")
}

/// The bytes of a text all of whose characters stand for one byte.
fn bytes(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap())
        .collect()
}

fn values(file: Vec<u8>) -> Result<Vec<f32>, WeightsErrorKind> {
    let mut archive = Archive::open(Cursor::new(file))?;
    let tensor = archive.tensors[0].clone();
    archive.values(&tensor)
}

fn refuse_tensor(tensor: &str) -> String {
    values(file(bytes(&named(tensor)))).unwrap_err().to_string()
}

#[test]
fn a_tensor_of_the_usual_kind_is_read() {
    assert_eq!(values(file(bytes(&named(&usual())))).unwrap(), [1.0, 2.0]);
    let float = storage("FloatStorage", "0", &small(2));
    let second = tensor(&float, &small(1), "K\u{1}\u{85}", "K\u{1}\u{85}");
    assert_eq!(values(file(bytes(&named(&second)))).unwrap(), [2.0]);
    let scalar = tensor(&float, &small(0), ")", ")");
    assert_eq!(values(file(bytes(&named(&scalar)))).unwrap(), [1.0]);
}

#[test]
fn shapes_and_strides_must_fit_the_storage() {
    let float = storage("FloatStorage", "0", &small(2));
    let (two, one) = ("K\u{2}\u{85}", "K\u{1}\u{85}");
    let minus = "J\u{ff}\u{ff}\u{ff}\u{ff}";
    let huge = "\u{8a}\u{8}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{40}";
    for (offset, shape, strides, words) in [
        (
            "K\u{0}",
            "K\u{3}\u{85}",
            one,
            "larger than what the file keeps",
        ),
        ("K\u{1}", two, one, "larger than what the file keeps"),
        (minus, two, one, "not described as PyTorch does"),
        (huge, two, one, "offset is out of range"),
        (
            "K\u{0}",
            &format!("{minus}\u{85}"),
            one,
            "not described as PyTorch does",
        ),
        (
            "K\u{0}",
            &format!("{huge}\u{85}"),
            one,
            "shape is out of range",
        ),
        (
            "K\u{0}",
            &format!("{huge}{huge}\u{86}"),
            one,
            "shape is out of range",
        ),
        ("K\u{0}", two, "K\u{0}\u{85}", "gaps or repeated"),
        (
            "K\u{0}",
            "K\u{1}K\u{2}\u{86}",
            "K\u{2}K\u{2}\u{86}",
            "gaps or repeated",
        ),
        ("K\u{0}", two, ")", "gaps or repeated"),
        ("K\u{0}", "]", one, "not described as PyTorch does"),
        ("N", two, one, "not described as PyTorch does"),
        (
            "K\u{0}",
            &format!("({}t", "K\u{1}".repeat(17)),
            one,
            "not described as PyTorch does",
        ),
    ] {
        let message = refuse_tensor(&tensor(&float, offset, shape, strides));
        assert!(message.contains(words), "{shape:?}, {strides:?}: {message}");
    }
}

#[test]
fn storages_must_be_there_with_their_size() {
    let (two, one) = ("K\u{2}\u{85}", "K\u{1}\u{85}");
    let refuse_storage = |class, key, count: &str| {
        refuse_tensor(&tensor(&storage(class, key, count), "K\u{0}", two, one))
    };
    for (class, key, count, words) in [
        ("FloatStorage", "0", "K\u{3}", "`0` does not have its size"),
        ("DoubleStorage", "0", "K\u{2}", "ends too early"),
        ("FloatStorage", "1", "K\u{2}", "`0` is not the state dict's"),
        ("LongStorage", "0", "K\u{2}", "ends too early"),
        ("IntStorage", "0", "K\u{2}", "is not of type float16"),
        ("FloatTensor", "0", "K\u{2}", "neither tensor nor text"),
        ("FloatStorage", "0", "N", "neither tensor nor text"),
        ("FloatStorage", "0", "K\u{2}(NU\u{1}a\u{86}", "is invalid"),
        ("FloatStorage", "0", "K\u{2}U\u{1}a", "parts of others"),
        (
            "ComplexFloatStorage",
            "0",
            "K\u{2}",
            "`torch.ComplexFloatStorage`",
        ),
    ] {
        let message = refuse_storage(class, key, count);
        assert!(
            message.contains(words),
            "{class}, {key}, {count}: {message}"
        );
    }
    // Two tensors that do not agree about their storage.
    let both = |second: &str| {
        let second = tensor(&storage("FloatStorage", "0", second), "K\u{0}", one, one);
        values(file(bytes(&named(&format!("{}sU\u{1}b{second}", usual())))))
    };
    assert_eq!(both("K\u{2}").unwrap(), [1.0, 2.0]);
    let message = both("K\u{1}").unwrap_err().to_string();
    assert!(message.contains("two storages share a name"), "{message}");
    // The state dict is fine, what follows it is not.
    let state = bytes(&named(&usual()));
    for (keys, count, words) in [
        (&b"]."[..], 2, "storages are missing"),
        (b"]U\x010aU\x010a.", 2, "`0` is not the state dict's"),
        (b"]N\x61.", 2, "has no name"),
        (b"}.", 2, "list of storages is missing"),
        (b"]U\x010a.", 1, "does not have its size"),
        (b"]U\x010a.", u64::MAX, "does not have its size"),
    ] {
        let message = refuse(file_with(&state, keys, count));
        assert!(message.contains(words), "{message}");
    }
    // A count that is no number of bytes.
    let huge = "\u{8a}\u{8}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{40}";
    let state = bytes(&named(&tensor(
        &storage("FloatStorage", "0", huge),
        "K\u{0}",
        two,
        one,
    )));
    let message = refuse(file_with(&state, b"]U\x010a.", 1 << 62));
    assert!(message.contains("does not have its size"), "{message}");
}

#[test]
fn what_is_no_state_dict_is_distinguished() {
    for state in [
        "N",
        "}",
        "]",
        "}U\u{1}aK\u{1}s",
        "}q\u{0}U\u{a}state_dicth\u{0}s",
    ] {
        let message = refuse(file_with(bytes(state), b"].", 0));
        assert!(message.contains("no state dict"), "{state:?}: {message}");
    }
    let parameter = |inside: &str| format!("ctorch.nn.parameter\nParameter\n{inside}\u{85}\u{81}");
    assert!(values(file(bytes(&named(&parameter(&usual()))))).is_ok());
    for state in [
        usual(),
        format!("]{}a", usual()),
        named(&parameter(&parameter(&usual()))),
    ] {
        let message = refuse(file(bytes(&state)));
        assert!(message.contains("no state dict"), "{state:?}: {message}");
    }
    let model = "(U\u{6}modulecposix\nsystem\nNNtQ".to_owned();
    assert!(refuse(file(bytes(&model))).contains("`posix.system`"));
}

#[test]
fn a_long_name_cannot_be_repeated() {
    let name = format!("X\u{0}\u{40}\u{0}\u{0}{}q\u{1}", "n".repeat(1 << 14));
    let mut state = format!("}}{name}{}q\u{2}s", usual());
    state += &"h\u{1}h\u{2}s".repeat(50_000);
    let message = refuse(file(bytes(&state)));
    assert!(message.contains("two tensors are called `nnn"), "{message}");
}
