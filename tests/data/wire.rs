//! A second reader of DNS messages, which shares nothing with the one under test: which section each
//! address stands in.

use std::net::IpAddr;

/// An address record.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) is_answer: bool,
    pub(crate) owner: String,
    pub(crate) address: IpAddr,
}

/// The records of a message, up to the first that makes no sense.
pub(crate) fn records_of(message: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    let _end_of_sense = walk(message, &mut records);
    records
}

fn walk(message: &[u8], records: &mut Vec<Record>) -> Option<()> {
    let number = |at: usize| {
        Some(u16::from_be_bytes([
            *message.get(at)?,
            *message.get(at + 1)?,
        ]))
    };
    let mut at = 12;
    for _ in 0..number(4)? {
        at = name_at(message, at)?.1 + 4;
    }
    let answers = number(6)?;
    let all = u32::from(answers) + u32::from(number(8)?) + u32::from(number(10)?);
    for index in 0..all {
        let (owner, end) = name_at(message, at)?;
        let length = usize::from(number(end + 8)?);
        let data = message.get(end + 10..end + 10 + length)?;
        let address = match (number(end)?, length) {
            (1, 4) => Some(IpAddr::from(<[u8; 4]>::try_from(data).unwrap())),
            (28, 16) => Some(IpAddr::from(<[u8; 16]>::try_from(data).unwrap())),
            _ => None,
        };
        records.extend(address.map(|address| Record {
            is_answer: index < u32::from(answers),
            owner,
            address,
        }));
        at = end + 10 + length;
    }
    Some(())
}

/// A name, and where what follows it begins.
fn name_at(message: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut labels: Vec<String> = Vec::new();
    let mut end = None;
    for _ in 0..128 {
        let length = usize::from(*message.get(at)?);
        match length {
            0 => {
                let name = labels.join(".").to_ascii_lowercase();
                return Some((name, end.unwrap_or(at + 1)));
            }
            0xc0.. => {
                end.get_or_insert(at + 2);
                at = (length & 0x3f) << 8 | usize::from(*message.get(at + 1)?);
            }
            _ => {
                let label = message.get(at + 1..at + 1 + length)?;
                labels.push(String::from_utf8_lossy(label).into_owned());
                at += 1 + length;
            }
        }
    }
    None
}
