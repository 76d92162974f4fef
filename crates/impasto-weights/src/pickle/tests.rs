use super::*;

fn read(bytes: &[u8]) -> Result<Pickle, WeightsErrorKind> {
    Pickle::read(&mut &bytes[..])
}

fn refusal(bytes: &[u8]) -> String {
    read(bytes).unwrap_err().to_string()
}

#[test]
fn nothing_is_called_and_the_name_is_reported() {
    // What a pickle that opens a shell looks like.
    let message = refusal(b"\x80\x02cposix\nsystem\nU\x02idR.");
    assert!(message.contains("`posix.system`"), "{message}");
    assert!(
        message.contains("Nothing in a file is ever run"),
        "{message}"
    );
    let message = refusal(b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.");
    assert!(message.contains("`builtins.eval`"), "{message}");
    let message = refusal(b"\x80\x02ctorchvision.models.vgg\nVGG\n)\x81.");
    assert!(
        message.contains("`torchvision.models.vgg.VGG`"),
        "{message}"
    );
    for name in [
        "torch\nload",
        "torch\nStorage",
        "torch.storage\n_load_from_bytes",
        "a\u{1b}\nb",
    ] {
        let message = refusal(format!("c{name}\n.").as_bytes());
        assert!(message.contains("which no state dict needs"), "{message}");
        assert!(!message.contains('\u{1b}'));
    }
}

#[test]
fn unknown_instructions_are_named() {
    // INST, OBJ, PERSID, EXT1, NEWOBJ_EX, POP, DUP, text forms of numbers.
    for instruction in *b"ioP0\x822IFLV\x92" {
        let message = refusal(&[0x80, 2, b'(', instruction, b'\n']);
        assert!(
            message.contains(&format!("0x{instruction:02x}")),
            "{message}"
        );
    }
    assert!(refusal(b"\x80\x09N.").contains("version 9"));
}

#[test]
fn numbers_are_read_with_their_signs() {
    let number = |bytes: &[u8]| {
        let pickle = read(bytes).unwrap();
        match pickle.get(pickle.root()) {
            Node::Int(value) => *value,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(number(b"K\xff."), 255);
    assert_eq!(number(b"M\x00\x80."), 0x8000);
    assert_eq!(number(b"J\xff\xff\xff\xff."), -1);
    assert_eq!(number(b"\x8a\x00."), 0);
    assert_eq!(number(b"\x8a\x01\xff."), -1);
    assert_eq!(number(b"\x8a\x02\xff\x00."), 255);
    let magic = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    assert_eq!(number(magic), 0x1950_a86a_20f9_469c_fc6c);
    assert!(refusal(b"\x8a\x11").contains("very large number"));
}

#[test]
fn the_stack_is_guarded() {
    for bytes in [
        &b"."[..],
        b"N(.",    // nothing above the mark
        b"t.",     // no mark
        b"N\x86.", // one value for a pair
        b"N(\x85t.",
        b"N(\x85.", // the value lies below the mark
        b"Na.",     // not onto a list
        b"NN.a",    // what follows the end is not read
        b"}(Nu.",   // a key without a value
        b"}NN.",    // fine, see below
        b"](NNs.",  // entries into a list
        b"h\x00.",  // never remembered
        b"j\xff\xff\xff\xff.",
        b"q\x00.", // nothing to remember
        b"NR.",
        b"NNR.",
        b"ccollections\nOrderedDict\nNR.",
        b"ccollections\nOrderedDict\nN\x85R.",
        b"ccollections\nOrderedDict\n]N\x61\x85R.",
        b"ctorch\nFloatStorage\n)R.",
        b"N}b.",
        b"b.",
        b"\x93.",
        b"NN\x93.",
    ] {
        match bytes {
            b"NN.a" | b"}NN." => assert!(read(bytes).is_ok()),
            _ => {
                let error = read(bytes).unwrap_err();
                assert!(
                    matches!(error, WeightsErrorKind::Damaged(_)),
                    "{bytes:?}: {error}"
                );
            }
        }
    }
}

#[test]
fn every_beginning_of_a_pickle_is_refused() {
    let whole = b"\x80\x02ccollections\nOrderedDict\n)R(X\x01\x00\x00\x00aM\x01\x02u}b.";
    assert!(read(whole).is_ok());
    for length in 0..whole.len() {
        assert!(read(&whole[..length]).is_err(), "{length}");
    }
}

#[test]
fn values_that_hold_themselves_do_no_harm() {
    // A list in itself, and a dictionary whose value is itself.
    let list = read(b"]q\x00h\x00a.").unwrap();
    assert_eq!(list.list(list.root()), Some(&[list.root()][..]));
    let dictionary = read(b"}q\x00U\x01ah\x00s.").unwrap();
    assert!(matches!(dictionary.get(dictionary.root()), Node::Dict(entries) if entries.len() == 1));
}

#[test]
fn bombs_run_into_the_limits() {
    let bomb = |part: &[u8]| refusal(&part.repeat(4_000_000 / part.len()));
    assert!(bomb(b"N").contains("nested too deeply"));
    assert!(bomb(b"(").contains("nested too deeply"));
    assert!(bomb(b")\x85").contains("nested too deeply"));
    // One value inside another, a hundred thousand deep.
    let deep = [&b"N"[..], &b"\x85".repeat(100_000), b"."].concat();
    assert!(read(&deep).is_ok());
    let endless = [&b"]"[..], &b"Na".repeat(1_000_000)].concat();
    assert!(refusal(&endless).contains("far longer"));
    // A long list, copied into a dictionary again and again.
    let mut copies = b"]q\x01".to_vec();
    copies.extend(b"NN\x86a".repeat(10_000));
    copies.extend(b"\x85q\x02");
    for _ in 0..1_000 {
        copies.extend(b"ccollections\nOrderedDict\nh\x02R");
    }
    assert!(refusal(&copies).contains("is invalid"));

    assert!(refusal(b"X\xff\xff\xff\xff").contains("very long text"));
    assert!(refusal(b"X\x01\x00\x00\x00\xff.").contains("raw bytes"));
    let name = [&b"c"[..], &b"a".repeat(1000), b"\n"].concat();
    assert!(refusal(&name).contains("is invalid"));
}
