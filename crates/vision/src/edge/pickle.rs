//! Tensors out of a `.pth` file without running any code.
//!
//! Such a file is a zip container of raw storages and of a pickle, a program for a stack machine
//! that may name any callable of its reader. This reader knows the opcodes that a dictionary of
//! tensors needs and seven storage types, two tensor constructors and the ordered dictionary by
//! name; anything else is refused. Nothing from the file is ever called. Sizes are checked against
//! the storages before memory is taken.
//! Source: the pickle protocol 2 to 4 as in CPython's `pickletools`, and PyTorch's serialisation notes.

use std::collections::{BTreeMap, HashMap};
use std::io::{Cursor, Read};
use std::rc::Rc;

use zip::ZipArchive;

use super::weights::Plain;

/// Most values over all tensors, and most bytes over all storages.
const LARGEST: usize = 1 << 28;

/// Why a `.pth` file is refused.
#[derive(Debug, thiserror::Error)]
pub enum PickleError {
    /// The container is damaged or holds no pickle.
    #[error("zip container: {0}")]
    Container(String),
    /// The pickle asks for something a dictionary of tensors does not need.
    #[error("refused at byte {at} of data.pkl: {what}")]
    Refused {
        /// Position in the pickle.
        at: usize,
        /// What it asked for.
        what: String,
    },
    /// A tensor does not fit its storage.
    #[error("tensor {name}: {reason}")]
    Tensor {
        /// The tensor.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

/// All tensors of a `.pth` file: of its entry `state_dict` if it has one, else of its top level.
///
/// # Errors
/// A damaged container, an opcode or a name that is not on the list, tensors that do not fit their storages.
pub fn read(bytes: &[u8]) -> Result<BTreeMap<String, Plain>, PickleError> {
    let container = |e: &dyn std::fmt::Display| PickleError::Container(e.to_string());
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| container(&e))?;
    let names = (0..archive.len())
        .filter_map(|i| Some(archive.by_index(i).ok()?.name().ok()?.into_owned()));
    let pickle = names
        .collect::<Vec<_>>()
        .into_iter()
        .find(|n| n.ends_with("data.pkl"));
    let pickle = pickle.ok_or_else(|| PickleError::Container("no data.pkl inside".into()))?;
    let folder = pickle.trim_end_matches("data.pkl").to_string();
    if let Ok(order) = entry(&mut archive, &format!("{folder}byteorder"), 64)
        && order.starts_with(b"big")
    {
        return Err(PickleError::Container("storages are big-endian".into()));
    }
    let program = entry(&mut archive, &pickle, LARGEST)?;
    let mut machine = Machine::new(&program);
    let top = machine.run()?;
    let mut left = LARGEST;
    let mut storages = HashMap::new();
    let mut tensors = BTreeMap::new();
    for (name, tensor) in machine.tensors(&top)? {
        if !storages.contains_key(&*tensor.storage.key) {
            let file = entry(
                &mut archive,
                &format!("{folder}data/{}", tensor.storage.key),
                left,
            )?;
            left -= file.len();
            storages.insert(tensor.storage.key.to_string(), file);
        }
        let plain = tensor
            .gather(&storages[&*tensor.storage.key])
            .map_err(|reason| PickleError::Tensor {
                name: name.clone(),
                reason,
            })?;
        tensors.insert(name, plain);
    }
    Ok(tensors)
}

fn entry(
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    name: &str,
    limit: usize,
) -> Result<Vec<u8>, PickleError> {
    let file = archive
        .by_name(name)
        .map_err(|e| PickleError::Container(format!("{name}: {e}")))?;
    let mut bytes = Vec::new();
    let read = file.take(limit as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|e| PickleError::Container(format!("{name}: {e}")))?;
    if bytes.len() > limit {
        return Err(PickleError::Container(format!(
            "{name} exceeds {limit} bytes"
        )));
    }
    Ok(bytes)
}

/// Names a pickle may mention.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Known {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Element),
}

/// Element types of storages.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Element {
    Float,
    Double,
    Half,
    BFloat16,
    Long,
    Int,
    Byte,
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

impl Element {
    fn size(self) -> usize {
        match self {
            Self::Double | Self::Long => 8,
            Self::Float | Self::Int => 4,
            Self::Half | Self::BFloat16 => 2,
            Self::Byte => 1,
        }
    }

    /// Value of element `index`; the caller has checked that it lies inside.
    fn at(self, bytes: &[u8], index: usize) -> f32 {
        let part = &bytes[index * self.size()..(index + 1) * self.size()];
        match (self, part) {
            (Self::Float, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
            (Self::Int, &[a, b, c, d]) => i32::from_le_bytes([a, b, c, d]) as f32,
            (Self::Half, &[a, b]) => half::f16::from_le_bytes([a, b]).to_f32(),
            (Self::BFloat16, &[a, b]) => half::bf16::from_le_bytes([a, b]).to_f32(),
            (Self::Byte, &[a]) => f32::from(a),
            (Self::Double, part) => {
                f64::from_le_bytes(part.try_into().expect("eight bytes")) as f32
            }
            (_, part) => i64::from_le_bytes(part.try_into().expect("eight bytes")) as f32,
        }
    }
}

#[derive(Clone, Debug)]
struct StorageRef {
    key: Rc<str>,
    element: Element,
}

#[derive(Clone, Debug)]
struct TensorRef {
    storage: StorageRef,
    offset: usize,
    shape: Vec<usize>,
    stride: Vec<usize>,
}

impl TensorRef {
    /// Copies the tensor out of its storage, row-major.
    fn gather(&self, bytes: &[u8]) -> Result<Plain, String> {
        let held = bytes.len() / self.storage.element.size();
        let count = self.shape.iter().try_fold(1usize, |n, s| n.checked_mul(*s));
        let count = count
            .filter(|n| *n <= held)
            .ok_or_else(|| format!("shape {:?} exceeds its storage", self.shape))?;
        let reach = self
            .shape
            .iter()
            .zip(&self.stride)
            .try_fold(self.offset, |at, (n, stride)| {
                at.checked_add(n.saturating_sub(1).checked_mul(*stride)?)
            });
        if self.shape.len() != self.stride.len() || (count > 0 && reach.is_none_or(|at| at >= held))
        {
            return Err(format!("strides {:?} leave its storage", self.stride));
        }
        let mut index = vec![0usize; self.shape.len()];
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            let at = index
                .iter()
                .zip(&self.stride)
                .fold(self.offset, |at, (i, s)| at + i * s);
            values.push(self.storage.element.at(bytes, at));
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                if index[axis] < self.shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        Ok(Plain {
            shape: self.shape.clone(),
            values,
        })
    }
}

#[derive(Clone, Debug)]
enum Value {
    Nothing,
    Number(i64),
    Text(Rc<str>),
    Tuple(Rc<[Value]>),
    /// Index into the machine's dictionaries: a dictionary is filled after it was remembered.
    Dict(usize),
    List,
    Known(Known),
    Storage(StorageRef),
    Tensor(Rc<TensorRef>),
    Mark,
}

struct Machine<'a> {
    program: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    memo: HashMap<u32, Value>,
    dicts: Vec<Vec<(Value, Value)>>,
}

impl<'a> Machine<'a> {
    fn new(program: &'a [u8]) -> Self {
        Self {
            program,
            at: 0,
            stack: Vec::new(),
            memo: HashMap::new(),
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
        Ok(Value::Tuple(items.into()))
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

    fn run(&mut self) -> Result<Value, PickleError> {
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
                b')' => Value::Tuple([].into()),
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
                b't' => Value::Tuple(self.pop_to_mark()?.into()),
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
            Value::Tuple(items) => items,
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
        match &items[..] {
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
    fn tensors(&self, top: &Value) -> Result<Vec<(String, Rc<TensorRef>)>, PickleError> {
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
                found.push((name.to_string(), tensor.clone()));
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

    #[test]
    fn a_tensor_may_be_strided_but_not_leave_its_storage() {
        let bytes: Vec<u8> = (0..6).flat_map(|i| (i as f32).to_le_bytes()).collect();
        let storage = StorageRef {
            key: "0".into(),
            element: Element::Float,
        };
        let turned = TensorRef {
            storage: storage.clone(),
            offset: 0,
            shape: vec![3, 2],
            stride: vec![1, 3],
        };
        assert_eq!(
            turned.gather(&bytes).unwrap().values,
            [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
        );
        let out = TensorRef {
            storage,
            offset: 1,
            shape: vec![3, 2],
            stride: vec![1, 3],
        };
        assert!(out.gather(&bytes).is_err());
    }
}
