//! The stack machine that a pickle is a program for, cut down to what a dictionary of tensors needs.
//!
//! Central type [`Machine`]. Dictionaries and tuples live in lists of the machine and values refer to
//! them by number: nothing is nested in memory, however deep a program nests it, and what the machine
//! holds grows with the length of its program alone.

use std::collections::HashMap;
use std::rc::Rc;

use super::container::{LARGEST, PickleError};
use super::storage::{Element, StorageRef, TensorRef};

/// A tensor's name, shared with the program's text, and its place.
type NamedTensor = (Rc<str>, Rc<TensorRef>);

/// Most axes of a tensor.
const MOST_AXES: usize = 8;

/// Names a pickle may mention.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Known {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Element),
}

impl Known {
    fn parse(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "FloatStorage") => Self::Storage(Element::Float),
            ("torch", "DoubleStorage") => Self::Storage(Element::Double),
            ("torch", "HalfStorage") => Self::Storage(Element::Half),
            ("torch", "BFloat16Storage") => Self::Storage(Element::BFloat16),
            ("torch", "LongStorage") => Self::Storage(Element::Long),
            ("torch", "IntStorage") => Self::Storage(Element::Int),
            ("torch", "ByteStorage") => Self::Storage(Element::Byte),
            _ => return None,
        })
    }
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Nothing,
    Number(i64),
    Text(Rc<str>),
    /// Index into the machine's tuples.
    Tuple(usize),
    /// Index into the machine's dictionaries: a dictionary is filled after it was remembered.
    Dict(usize),
    List,
    Known(Known),
    Storage(StorageRef),
    Tensor(Rc<TensorRef>),
    Mark,
}

/// See the head of the file.
pub(super) struct Machine<'a> {
    program: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    memo: HashMap<u32, Value>,
    tuples: Vec<Rc<[Value]>>,
    dicts: Vec<Vec<(Value, Value)>>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(program: &'a [u8]) -> Self {
        Self {
            program,
            at: 0,
            stack: Vec::new(),
            memo: HashMap::new(),
            tuples: Vec::new(),
            dicts: Vec::new(),
        }
    }

    fn refuse<T>(&self, what: impl Into<String>) -> Result<T, PickleError> {
        Err(PickleError::Refused {
            at: self.at,
            what: what.into(),
        })
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], PickleError> {
        let Some(part) = self
            .at
            .checked_add(count)
            .and_then(|end| self.program.get(self.at..end))
        else {
            return self.refuse("the pickle ends too early");
        };
        self.at += count;
        Ok(part)
    }

    fn unsigned(&mut self, width: usize) -> Result<u32, PickleError> {
        Ok(self
            .bytes(width)?
            .iter()
            .rev()
            .fold(0, |n, b| n << 8 | u32::from(*b)))
    }

    fn text(&mut self, length: usize) -> Result<Rc<str>, PickleError> {
        match std::str::from_utf8(self.bytes(length)?) {
            Ok(text) => Ok(text.into()),
            Err(_) => self.refuse("text that is not UTF-8"),
        }
    }

    fn line(&mut self) -> Result<Rc<str>, PickleError> {
        let Some(length) = self.program[self.at..].iter().position(|b| *b == b'\n') else {
            return self.refuse("the pickle ends too early");
        };
        let text = self.text(length)?;
        self.at += 1;
        Ok(text)
    }

    fn pop(&mut self) -> Result<Value, PickleError> {
        match self.stack.pop() {
            Some(Value::Mark) | None => self.refuse("an empty stack"),
            Some(value) => Ok(value),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, PickleError> {
        let Some(mark) = self.stack.iter().rposition(|v| matches!(v, Value::Mark)) else {
            return self.refuse("no mark on the stack");
        };
        let items = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(items)
    }

    fn new_dict(&mut self) -> Value {
        self.dicts.push(Vec::new());
        Value::Dict(self.dicts.len() - 1)
    }

    fn new_tuple(&mut self, items: Vec<Value>) -> Value {
        self.tuples.push(items.into());
        Value::Tuple(self.tuples.len() - 1)
    }

    fn remember(&mut self, slot: u32) -> Result<(), PickleError> {
        let Some(top) = self.stack.last() else {
            return self.refuse("an empty stack");
        };
        self.memo.insert(slot, top.clone());
        Ok(())
    }

    fn recall(&mut self, slot: u32) -> Result<Value, PickleError> {
        match self.memo.get(&slot) {
            Some(value) => Ok(value.clone()),
            None => self.refuse(format!("memory slot {slot} that was never filled")),
        }
    }

    fn tuple(&mut self, count: usize) -> Result<Value, PickleError> {
        let mut items = (0..count)
            .map(|_| self.pop())
            .collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        Ok(self.new_tuple(items))
    }

    fn set_items(&mut self, items: Vec<Value>) -> Result<(), PickleError> {
        let Some(Value::Dict(dict)) = self.stack.last() else {
            return self.refuse("an entry for something that is not a dictionary");
        };
        let dict = *dict;
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            self.dicts[dict].push((key, value));
        }
        Ok(())
    }

    fn global(&self, module: &str, name: &str) -> Result<Value, PickleError> {
        match Known::parse(module, name) {
            Some(known) => Ok(Value::Known(known)),
            None => self.refuse(format!(
                "the name {module}.{name}; only tensors and dictionaries are read"
            )),
        }
    }

    /// Runs the program to its end and answers what it leaves.
    ///
    /// # Errors
    /// An opcode or a name that is not on the list, or a program that is cut or makes no sense.
    pub(super) fn run(&mut self) -> Result<Value, PickleError> {
        loop {
            let opcode = self.bytes(1)?[0];
            let value = match opcode {
                0x80 => {
                    self.bytes(1)?; // protocol number
                    continue;
                }
                0x95 => {
                    self.bytes(8)?; // frame length
                    continue;
                }
                b'.' => return self.pop(),
                b'(' => Value::Mark,
                b'}' => self.new_dict(),
                b']' => Value::List,
                b')' => self.new_tuple(Vec::new()),
                b'N' | 0x88 | 0x89 => Value::Nothing,
                b'K' => Value::Number(self.unsigned(1)?.into()),
                b'M' => Value::Number(self.unsigned(2)?.into()),
                b'J' => Value::Number((self.unsigned(4)? as i32).into()),
                0x8a => {
                    let length = self.unsigned(1)? as usize;
                    self.long(length)?
                }
                b'G' => {
                    self.bytes(8)?; // a float: no tensor needs its value
                    Value::Nothing
                }
                b'X' => {
                    let length = self.unsigned(4)? as usize;
                    Value::Text(self.text(length)?)
                }
                0x8c => {
                    let length = self.unsigned(1)? as usize;
                    Value::Text(self.text(length)?)
                }
                b'q' | b'r' => {
                    let slot = self.unsigned(if opcode == b'q' { 1 } else { 4 })?;
                    self.remember(slot)?;
                    continue;
                }
                0x94 => {
                    self.remember(self.memo.len() as u32)?;
                    continue;
                }
                b'h' | b'j' => {
                    let slot = self.unsigned(if opcode == b'h' { 1 } else { 4 })?;
                    self.recall(slot)?
                }
                b't' => {
                    let items = self.pop_to_mark()?;
                    self.new_tuple(items)
                }
                0x85..=0x87 => self.tuple(usize::from(opcode - 0x84))?,
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.global(&module, &name)?
                }
                0x93 => match (self.pop()?, self.pop()?) {
                    (Value::Text(name), Value::Text(module)) => self.global(&module, &name)?,
                    _ => return self.refuse("a name that is not text"),
                },
                b'R' => self.reduce()?,
                b'Q' => self.storage()?,
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.set_items(vec![key, value])?;
                    continue;
                }
                b'u' => {
                    let items = self.pop_to_mark()?;
                    self.set_items(items)?;
                    continue;
                }
                b'a' => {
                    self.pop()?; // lists carry nothing a tensor needs
                    continue;
                }
                b'e' => {
                    self.pop_to_mark()?;
                    continue;
                }
                b'b' => {
                    self.pop()?;
                    match self.stack.last() {
                        Some(Value::Dict(_)) => continue, // attributes of an ordered dictionary
                        _ => {
                            return self.refuse("attributes of something that is not a dictionary");
                        }
                    }
                }
                other => return self.refuse(format!("opcode 0x{other:02x}")),
            };
            self.stack.push(value);
        }
    }

    fn long(&mut self, length: usize) -> Result<Value, PickleError> {
        let bytes = self.bytes(length)?;
        if length > 8 {
            return self.refuse("a number of more than 64 bits");
        }
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut all = [if negative { 0xff } else { 0 }; 8];
        all[..length].copy_from_slice(bytes);
        Ok(Value::Number(i64::from_le_bytes(all)))
    }

    fn reduce(&mut self) -> Result<Value, PickleError> {
        let arguments = match self.pop()? {
            Value::Tuple(items) => self.tuples[items].clone(),
            _ => return self.refuse("a call without a tuple of arguments"),
        };
        let callable = self.pop()?;
        match (callable, &arguments[..]) {
            (Value::Known(Known::OrderedDict), []) => Ok(self.new_dict()),
            (Value::Known(Known::RebuildParameter), [tensor @ Value::Tensor(_), ..]) => {
                Ok(tensor.clone())
            }
            (
                Value::Known(Known::RebuildTensor),
                [
                    Value::Storage(storage),
                    Value::Number(offset),
                    Value::Tuple(shape),
                    Value::Tuple(stride),
                    ..,
                ],
            ) => {
                let (shape, stride) = (&self.tuples[*shape], &self.tuples[*stride]);
                if shape.len().max(stride.len()) > MOST_AXES {
                    return self.refuse(format!("a tensor of more than {MOST_AXES} axes"));
                }
                let (Some(shape), Some(stride), Ok(offset)) =
                    (sizes(shape), sizes(stride), usize::try_from(*offset))
                else {
                    return self.refuse("a tensor of negative size");
                };
                Ok(Value::Tensor(Rc::new(TensorRef {
                    storage: storage.clone(),
                    offset,
                    shape,
                    stride,
                })))
            }
            _ => self.refuse("a call that is neither a tensor nor a dictionary"),
        }
    }

    fn storage(&mut self) -> Result<Value, PickleError> {
        let Value::Tuple(items) = self.pop()? else {
            return self.refuse("a reference that is not a tuple");
        };
        match &self.tuples[items][..] {
            [
                Value::Text(what),
                Value::Known(Known::Storage(element)),
                Value::Text(key),
                ..,
            ] if &**what == "storage"
                && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') =>
            {
                Ok(Value::Storage(StorageRef {
                    key: key.clone(),
                    element: *element,
                }))
            }
            _ => self.refuse("a reference that is not a storage"),
        }
    }

    /// The named tensors of `top`, or of its entry `state_dict`.
    ///
    /// # Errors
    /// Something else at the top, or tensors of more than [`LARGEST`] values together.
    pub(super) fn tensors(&self, top: &Value) -> Result<Vec<NamedTensor>, PickleError> {
        let Value::Dict(top) = top else {
            return self.refuse("a top level that is not a dictionary");
        };
        let inner = self.dicts[*top]
            .iter()
            .find_map(|(key, value)| match (key, value) {
                (Value::Text(key), Value::Dict(dict)) if &**key == "state_dict" => Some(*dict),
                _ => None,
            });
        let entries = &self.dicts[inner.unwrap_or(*top)];
        let mut total = 0usize;
        let mut found = Vec::new();
        for (key, value) in entries {
            if let (Value::Text(name), Value::Tensor(tensor)) = (key, value) {
                let count = tensor
                    .shape
                    .iter()
                    .fold(1usize, |n, s| n.saturating_mul(*s));
                total = total.saturating_add(count);
                found.push((name.clone(), tensor.clone()));
            }
        }
        if total > LARGEST {
            return self.refuse(format!(
                "{total} values in all tensors together; at most {LARGEST} are read"
            ));
        }
        Ok(found)
    }
}

fn sizes(values: &[Value]) -> Option<Vec<usize>> {
    let one = |v: &Value| match v {
        Value::Number(n) => usize::try_from(*n).ok(),
        _ => None,
    };
    values.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(program: &[u8]) -> Result<Value, PickleError> {
        Machine::new(program).run()
    }

    #[test]
    fn a_pickle_that_names_a_callable_is_refused() {
        let said = run(b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00ls\x85R.")
            .unwrap_err()
            .to_string();
        assert!(said.contains("posix.system"), "{said}");
        assert!(run(b"\x80\x02cbuiltins\neval\n.").is_err());
        assert!(run(b"\x80\x04\x8c\x02os\x8c\x06system\x93.").is_err());
    }

    #[test]
    fn what_is_held_grows_with_the_program_alone() {
        // a tuple in a tuple in a tuple: dropped one by one, not by as many calls
        let mut deep = b")".to_vec();
        deep.resize(4_000_000, 0x85);
        deep.push(b'.');
        assert!(run(&deep).is_ok());
        // shape of a thousand ones, to be copied as often as it is recalled
        let mut wide = b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nByteStorage\nX\x01\0\0\x000tQK\0(".to_vec();
        wide.extend(b"K\x01".repeat(1000));
        wide.extend(b"tq\0h\0tR.");
        let said = run(&wide).unwrap_err().to_string();
        assert!(said.contains("8 axes"), "{said}");
    }

    #[test]
    fn opcodes_off_the_list_and_torn_programs_are_refused() {
        for program in [
            &b"i"[..],
            b"",
            b"X\xff\xff\xff\xff",
            b"s.",
            b"t.",
            b"R.",
            b"h\x01.",
            b"(.",
            b"K\x01b.",
        ] {
            assert!(run(program).is_err(), "{program:?}");
        }
    }
}
