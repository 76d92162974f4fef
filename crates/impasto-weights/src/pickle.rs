//! A reader of the pickles that PyTorch writes for a state dict.
//!
//! A pickle is a program for a small stack machine, and Python's machine can
//! be made to call anything. This one knows the instructions and the classes
//! that a state dict needs and refuses all others by name. It calls nothing:
//! what Python would build by a call stays a [`Node::Call`], for the caller to
//! make sense of.
//!
//! All values live in one list and refer to each other by index. So nothing is
//! recursive, values that contain themselves do no harm, and the limits below
//! bound the memory: each instruction makes at most one value.

use std::collections::HashMap;
use std::io::{BufRead, Read};

use class::Class;

use super::WeightsErrorKind;
use super::error::{damaged, quoted, unsupported};

pub(super) mod class;

/// The longest pickle, in bytes. A state dict takes about 100 for each tensor.
pub(super) const MAX_BYTES: u64 = 4 << 20;

/// The most instructions in a pickle, and with that the most values. A state
/// dict takes about 40 for each tensor.
const MAX_INSTRUCTIONS: usize = 200_000;

/// The most values on the stack: Python writes a dictionary in portions of
/// 1000 entries.
const MAX_STACK: usize = 20_000;

/// The most lists, tuples and dictionaries that are open at a time.
const MAX_MARKS: usize = 100;

/// The longest text, in bytes.
const MAX_TEXT: usize = 16 << 10;

/// The place of a value in its [`Pickle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Id(u32);

/// A value.
#[derive(Debug)]
pub(super) enum Node {
    None,
    Bool,
    Int(i128),
    Float,
    Text(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    /// A dict or an OrderedDict, in the order of its entries.
    Dict(Vec<(Id, Id)>),
    Class(Class),
    /// What Python would get by calling `class` with a tuple of arguments.
    Call {
        class: Class,
        arguments: Id,
    },
    /// Something that lies outside the pickle, under this key.
    Persistent(Id),
}

/// The values of a pickle.
#[derive(Debug)]
pub(super) struct Pickle {
    nodes: Vec<Node>,
    root: Id,
}

impl Pickle {
    /// Reads one pickle and leaves the stream after its last byte.
    pub fn read(stream: &mut impl BufRead) -> Result<Self, WeightsErrorKind> {
        let mut machine = Machine {
            stream: stream.take(MAX_BYTES),
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            copied: 0,
        };
        let root = machine.run()?;
        Ok(Self {
            nodes: machine.nodes,
            root,
        })
    }

    /// The value that the pickle is for.
    pub fn root(&self) -> Id {
        self.root
    }

    /// Every value, in the order of their making.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub fn get(&self, id: Id) -> &Node {
        // Ids are given out for nodes that are there, and nodes stay.
        &self.nodes[id.0 as usize]
    }

    /// The items, if it is a tuple.
    pub fn tuple(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Node::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// The items, if it is a list.
    pub fn list(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Node::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is a whole one that is not negative.
    pub fn count(&self, id: Id) -> Option<u64> {
        match self.get(id) {
            Node::Int(value) => u64::try_from(*value).ok(),
            _ => None,
        }
    }
}

struct Machine<R> {
    stream: R,
    nodes: Vec<Node>,
    stack: Vec<Id>,
    /// The heights of the stack at which its marks were set.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// How many entries came into dictionaries from lists, which stay.
    copied: usize,
}

impl<R: BufRead> Machine<R> {
    fn run(&mut self) -> Result<Id, WeightsErrorKind> {
        for _ in 0..MAX_INSTRUCTIONS {
            let [instruction] = self.array()?;
            if instruction == b'.' {
                return self.pop();
            }
            self.carry_out(instruction)?;
            if self.stack.len() > MAX_STACK || self.marks.len() > MAX_MARKS {
                return Err(unsupported("its pickle is nested too deeply"));
            }
        }
        Err(unsupported("its pickle is far longer than a state dict's"))
    }

    fn carry_out(&mut self, instruction: u8) -> Result<(), WeightsErrorKind> {
        match instruction {
            // PROTO
            0x80 => match self.array()? {
                [2..=5] => {}
                [version] => {
                    return Err(unsupported(format!("its pickle is of version {version}")));
                }
            },
            // FRAME only helps readers that read ahead.
            0x95 => {
                self.array::<8>()?;
            }

            // NONE, NEWTRUE, NEWFALSE
            b'N' => self.push(Node::None)?,
            0x88 | 0x89 => self.push(Node::Bool)?,
            // BININT, BININT1, BININT2, LONG1
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Node::Int(value.into()))?;
            }
            b'K' => {
                let [value] = self.array()?;
                self.push(Node::Int(value.into()))?;
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Node::Int(value.into()))?;
            }
            0x8a => {
                let value = self.long()?;
                self.push(Node::Int(value))?;
            }
            // BINFLOAT; no number that matters is one.
            b'G' => {
                self.array::<8>()?;
                self.push(Node::Float)?;
            }
            // BINUNICODE, BINSTRING
            b'X' | b'T' => {
                let length = u32::from_le_bytes(self.array()?);
                self.text(usize::try_from(length).unwrap_or(usize::MAX))?;
            }
            // SHORT_BINUNICODE, SHORT_BINSTRING
            0x8c | b'U' => {
                let [length] = self.array()?;
                self.text(length.into())?;
            }

            // MARK, then TUPLE, EMPTY_TUPLE, TUPLE1, TUPLE2, TUPLE3
            b'(' => self.marks.push(self.stack.len()),
            b't' => {
                let items = self.pop_mark()?;
                self.push(Node::Tuple(items))?;
            }
            b')' => self.push(Node::Tuple(Vec::new()))?,
            0x85..=0x87 => {
                let items = self.pop_many(usize::from(instruction - 0x84))?;
                self.push(Node::Tuple(items))?;
            }
            // EMPTY_LIST, APPEND, APPENDS
            b']' => self.push(Node::List(Vec::new()))?,
            b'a' => {
                let item = self.pop()?;
                self.list()?.push(item);
            }
            b'e' => {
                let items = self.pop_mark()?;
                self.list()?.extend(items);
            }
            // EMPTY_DICT, SETITEM, SETITEMS
            b'}' => self.push(Node::Dict(Vec::new()))?,
            b's' => {
                let items = self.pop_many(2)?;
                self.set(&items)?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.set(&items)?;
            }

            // GLOBAL, STACK_GLOBAL
            b'c' => {
                let module = self.line()?;
                let name = self.line()?;
                self.class(&module, &name)?;
            }
            0x93 => {
                let name = self.pop_text()?;
                let module = self.pop_text()?;
                self.class(&module, &name)?;
            }
            // REDUCE, NEWOBJ, BUILD
            b'R' | 0x81 => self.call()?,
            b'b' => self.build()?,
            // BINPERSID
            b'Q' => {
                let key = self.pop()?;
                self.push(Node::Persistent(key))?;
            }

            // BINPUT, LONG_BINPUT, MEMOIZE; BINGET, LONG_BINGET
            b'q' => {
                let [place] = self.array()?;
                self.remember(place.into())?;
            }
            b'r' => {
                let place = u32::from_le_bytes(self.array()?);
                self.remember(place)?;
            }
            0x94 => {
                // The memo has fewer entries than there are instructions.
                self.remember(self.memo.len() as u32)?;
            }
            b'h' => {
                let [place] = self.array()?;
                self.recall(place.into())?;
            }
            b'j' => {
                let place = u32::from_le_bytes(self.array()?);
                self.recall(place)?;
            }

            other => {
                return Err(unsupported(format!(
                    "its pickle uses instruction 0x{other:02x}, which no state dict needs"
                )));
            }
        }
        Ok(())
    }

    fn push(&mut self, node: Node) -> Result<(), WeightsErrorKind> {
        let id = u32::try_from(self.nodes.len()).map_err(|_| broken())?;
        self.nodes.push(node);
        self.stack.push(Id(id));
        Ok(())
    }

    /// The topmost value, which must not lie below a mark.
    fn pop(&mut self) -> Result<Id, WeightsErrorKind> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(broken());
        }
        self.stack.pop().ok_or_else(broken)
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>, WeightsErrorKind> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(count) {
            Some(first) if first >= floor => Ok(self.stack.split_off(first)),
            _ => Err(broken()),
        }
    }

    /// Everything above the topmost mark, which goes too.
    fn pop_mark(&mut self) -> Result<Vec<Id>, WeightsErrorKind> {
        let mark = self.marks.pop().ok_or_else(broken)?;
        Ok(self.stack.split_off(mark))
    }

    fn pop_text(&mut self) -> Result<String, WeightsErrorKind> {
        let id = self.pop()?;
        match &self.nodes[id.0 as usize] {
            Node::Text(text) => Ok(text.clone()),
            _ => Err(broken()),
        }
    }

    /// The topmost value, which stays where it is.
    fn top(&mut self) -> Result<(Id, &mut Node), WeightsErrorKind> {
        let id = self.pop()?;
        self.stack.push(id);
        Ok((id, &mut self.nodes[id.0 as usize]))
    }

    fn list(&mut self) -> Result<&mut Vec<Id>, WeightsErrorKind> {
        match self.top()?.1 {
            Node::List(items) => Ok(items),
            _ => Err(broken()),
        }
    }

    /// Puts keys and values, in turn, into the topmost value.
    fn set(&mut self, items: &[Id]) -> Result<(), WeightsErrorKind> {
        let (pairs, []) = items.as_chunks::<2>() else {
            return Err(broken());
        };
        match self.top()?.1 {
            Node::Dict(entries) => {
                entries.extend(pairs.iter().map(|&[key, value]| (key, value)));
                Ok(())
            }
            _ => Err(broken()),
        }
    }

    fn class(&mut self, module: &str, name: &str) -> Result<(), WeightsErrorKind> {
        match Class::find(module, name) {
            Some(class) => self.push(Node::Class(class)),
            None => Err(unsupported(format!(
                "it needs {}, which no state dict needs",
                quoted(&format!("{module}.{name}"))
            ))),
        }
    }

    fn call(&mut self) -> Result<(), WeightsErrorKind> {
        let arguments = self.pop()?;
        let class = self.pop()?;
        let Node::Tuple(items) = &self.nodes[arguments.0 as usize] else {
            return Err(broken());
        };
        match self.nodes[class.0 as usize] {
            Node::Class(Class::OrderedDict) => {
                let entries = match items[..] {
                    [] => Vec::new(),
                    [list] => self.pairs(list)?,
                    _ => return Err(broken()),
                };
                self.push(Node::Dict(entries))
            }
            Node::Class(class) if class.is_called() => self.push(Node::Call { class, arguments }),
            _ => Err(broken()),
        }
    }

    /// The entries of a list of pairs: how Python 2 writes an OrderedDict.
    fn pairs(&mut self, list: Id) -> Result<Vec<(Id, Id)>, WeightsErrorKind> {
        let Node::List(items) = &self.nodes[list.0 as usize] else {
            return Err(broken());
        };
        // The same list could be copied again and again.
        self.copied += items.len();
        if self.copied > MAX_INSTRUCTIONS {
            return Err(broken());
        }
        (items.iter())
            .map(|pair| match &self.nodes[pair.0 as usize] {
                Node::List(pair) | Node::Tuple(pair) => match pair[..] {
                    [key, value] => Ok((key, value)),
                    _ => Err(broken()),
                },
                _ => Err(broken()),
            })
            .collect()
    }

    /// Attributes (`_metadata`, or whether a parameter is trained) say nothing
    /// about the values, so they are dropped.
    fn build(&mut self) -> Result<(), WeightsErrorKind> {
        self.pop()?;
        match self.top()?.1 {
            Node::Dict(_) | Node::Call { .. } => Ok(()),
            _ => Err(broken()),
        }
    }

    fn remember(&mut self, place: u32) -> Result<(), WeightsErrorKind> {
        let (id, _) = self.top()?;
        self.memo.insert(place, id);
        Ok(())
    }

    fn recall(&mut self, place: u32) -> Result<(), WeightsErrorKind> {
        let id = *self.memo.get(&place).ok_or_else(broken)?;
        self.stack.push(id);
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WeightsErrorKind> {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// A whole number of up to sixteen bytes, the highest bit its sign.
    fn long(&mut self) -> Result<i128, WeightsErrorKind> {
        let [length] = self.array()?;
        let mut bytes = [0; 16];
        let Some(given) = bytes.get_mut(..length.into()) else {
            return Err(unsupported("its pickle holds a very large number"));
        };
        self.stream.read_exact(given)?;
        let unused = 128 - 8 * u32::from(length);
        if unused == 128 {
            return Ok(0);
        }
        Ok(i128::from_le_bytes(bytes) << unused >> unused)
    }

    fn text(&mut self, length: usize) -> Result<(), WeightsErrorKind> {
        if length > MAX_TEXT {
            return Err(unsupported("its pickle holds a very long text"));
        }
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        let text =
            String::from_utf8(bytes).map_err(|_| unsupported("its pickle holds raw bytes"))?;
        self.push(Node::Text(text))
    }

    /// The name of a module or class, up to the end of its line.
    fn line(&mut self) -> Result<String, WeightsErrorKind> {
        const MAX_LENGTH: u64 = 256;
        let mut bytes = Vec::new();
        (&mut self.stream)
            .take(MAX_LENGTH)
            .read_until(b'\n', &mut bytes)?;
        if bytes.pop() != Some(b'\n') {
            return Err(broken());
        }
        String::from_utf8(bytes).map_err(|_| broken())
    }
}

fn broken() -> WeightsErrorKind {
    damaged("its pickle is invalid")
}

#[cfg(test)]
mod tests;
