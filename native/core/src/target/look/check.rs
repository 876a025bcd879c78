//! The lanes: the source says the digest of a file, and what is here is compared with it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::files::{Answer, Known, ToCheck};
use super::links::FirstLooked;
use super::readers::Bytes;
use super::session::Looking;
use crate::digest::file::Form;
use crate::digest::leaf::{FAILED_LEAF, Payload, leaf};
use crate::error::CoreError;
use crate::fs::aspects::Aspects;
use crate::fs::stat::{Kind, Stat};
use crate::session::counters::Counter;
use crate::session::difference::{Change, Difference};
use crate::session::item::{Item, ItemClass, Side};
use crate::target::finished::RecentFrames;
use crate::target::links::Contents;
use crate::target::served::{Exceptions, Served};
use crate::wire::channel::{Channel, malformed};
use crate::wire::check::{Check, read_checks};
use crate::wire::frame::{FrameType, Header};
use crate::wire::index::{Ack, Outcome};
use crate::wire::lane::read_gone;
use crate::wire::limits::PACK_FILE;

/// What comes of comparing a file's bytes.
enum Verdict {
    Same(Form, crate::digest::Digest),
    Other,
    /// An item says why.
    Unknown,
}

/// The answers to one frame.
#[derive(Default)]
struct Answers {
    /// Files that are answered for.
    files: Vec<u64>,
    exceptions: Exceptions,
}

impl Answers {
    fn add(&mut self, file: u64, position: u32, answer: Answer) {
        self.exceptions.extend(answer.map(|outcome| (position, outcome)));
        if !matches!(answer, Some(Outcome::Base(_))) {
            self.files.push(file);
        }
    }
}

impl Looking {
    /// Serves a lane until it ends. True when it brought any frame.
    pub(super) fn take_checks(&self, channel: &Arc<Channel>) -> (bool, Result<(), CoreError>) {
        let mut recent = RecentFrames::default();
        let served = self.take_frames(channel, &mut recent);
        let worked = !recent.is_empty();
        self.files.remember(recent.into_files());
        (worked, served)
    }

    fn take_frames(&self, channel: &Channel, recent: &mut RecentFrames<u64>) -> Result<(), CoreError> {
        let mut payload = Vec::new();
        let mut buffer = Vec::new();
        let mut frames = 0;
        while let Some(header) = channel.receive(&mut payload)? {
            self.life.stop.check()?;
            self.counters.add(Counter::WireBytes, u64::from(header.length));
            // What a dead lane brings late may have come over another one long ago, and be forgotten.
            let broken = |error| if channel.is_broken() { CoreError::network("The lane broke.") } else { error };
            let Answers { files, exceptions } = self.take_frame(header, &payload, &mut buffer).map_err(broken)?;
            frames += 1;
            self.files.forget(&recent.push(files));
            let mut out = Vec::with_capacity(32);
            let exceptions = exceptions.into_iter().map(|(at, outcome)| (frames, at, outcome)).collect();
            Ack { frames, exceptions }.put(&mut out);
            channel.send(FrameType::Ack, false, &[&out])?;
        }
        Ok(())
    }

    fn take_frame(&self, header: Header, payload: &[u8], buffer: &mut Vec<u8>) -> Result<Answers, CoreError> {
        let mut answers = Answers::default();
        match header.frame_type {
            FrameType::Check => {
                for (position, check) in (0..).zip(read_checks(payload).map_err(malformed)?) {
                    let answer = self.answer_once(check.file, |file| self.check(file, &check, buffer))?;
                    answers.add(check.file, position, answer);
                }
            }
            FrameType::Gone => {
                let id = read_gone(payload).map_err(malformed)?;
                answers.add(id, 0, self.answer_once(id, |file| self.forget(file))?);
            }
            FrameType::Sums => answers.exceptions = self.compare_sums(payload, buffer)?,
            _ => {
                return Err(CoreError::protocol(
                    "The peer broke the protocol: it sends data to a session that only looks.",
                ));
            }
        }
        Ok(answers)
    }

    /// What was answered before is answered again.
    fn answer_once(
        &self,
        id: u64,
        judge: impl FnOnce(&ToCheck) -> Result<Answer, CoreError>,
    ) -> Result<Answer, CoreError> {
        let file = match self.files.get(id)? {
            Known::Waiting(file) => file,
            Known::Answered(answer) => return Ok(answer),
        };
        let mut answered = file.answer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = *answered {
            return Ok(answer);
        }
        let answer = judge(&file)?;
        if matches!(answer, Some(Outcome::Base(_))) {
            return Ok(answer);
        }
        *answered = Some(answer);
        drop(answered);
        self.files.answered();
        Ok(answer)
    }

    fn check(&self, file: &ToCheck, check: &Check, buffer: &mut Vec<u8>) -> Result<Answer, CoreError> {
        if file.base() > 0 {
            return Ok(Some(Outcome::Base(file.base())));
        }
        let verdict = self.compare_bytes(file, check, buffer);
        self.life.stop.check()?;
        self.count_file(&file.stat);
        let content = Aspects::NONE.with_if(matches!(verdict, Verdict::Other), Aspects::CONTENT);
        let aspects = file.aspects.with(content);
        let change = match verdict {
            Verdict::Same(..) => Change::Attributes,
            Verdict::Other => Change::Replaced,
            Verdict::Unknown => {
                self.first_unknown(file.link)?;
                self.settle(&file.place.directory, &[(file.place.leaf, FAILED_LEAF)])?;
                return Ok(Some(Outcome::Failed));
            }
        };
        if !aspects.is_empty() {
            let (path, to) = (file.place.path(), Vec::new());
            self.tell_differences(vec![Difference { change, kind: Kind::File, aspects, path, to }]);
        }
        let first = |contents| FirstLooked {
            place: file.place.clone(),
            inode: Some(file.stat.key()),
            kind: Kind::File,
            wanted: check.attributes.clone(),
            found: file.attributes.clone(),
            contents,
            aspects,
        };
        let Verdict::Same(form, digest) = verdict else {
            self.first_looked(file.link, first(None))?;
            let base = self.base_of(file.stat.size, check.size);
            if base > 0 {
                file.base.store(base, Ordering::Release);
                return Ok(Some(Outcome::Base(base)));
            }
            self.settle(&file.place.directory, &[(file.place.leaf, FAILED_LEAF)])?;
            return Ok(Some(Outcome::Differs));
        };
        self.ledger.count_compared();
        self.first_looked(file.link, first(Some(Contents::File { form, digest })))?;
        let leaf = leaf(&file.place.name, Kind::File, &file.attributes, &Payload::File { form, digest });
        self.settle(&file.place.directory, &[(file.place.leaf, leaf)])?;
        Ok(None)
    }

    fn compare_bytes(&self, file: &ToCheck, check: &Check, buffer: &mut Vec<u8>) -> Verdict {
        if check.size != file.stat.size {
            return Verdict::Other;
        }
        let again;
        let bytes = match file.bytes.get_or_init(|| self.read_file(file, Some(check.form), buffer)) {
            // Its holes are others than the source's, which is no difference.
            Bytes::Read(form, _) if *form != check.form => {
                again = self.read_file(file, Some(check.form), buffer);
                &again
            }
            bytes => bytes,
        };
        match bytes {
            Bytes::Read(form, digest) if *digest == check.digest => Verdict::Same(*form, *digest),
            Bytes::Read(..) => Verdict::Other,
            Bytes::Moved => {
                let detail = "changed on the target while it was compared";
                let path = file.place.path();
                self.tell_item(Item::said(Side::Target, ItemClass::Changed, path, "data", detail));
                Verdict::Unknown
            }
            Bytes::Failed(errno) => {
                self.unreadable(file.place.path(), "data", *errno);
                Verdict::Unknown
            }
        }
    }

    /// Nothing comes of it any more: the source cannot read it, as an item of its own says, or knows by now how much of a
    /// file that differs a copy would send.
    fn forget(&self, file: &ToCheck) -> Result<Answer, CoreError> {
        if file.base() == 0 {
            self.first_unknown(file.link)?;
        }
        self.settle(&file.place.directory, &[(file.place.leaf, FAILED_LEAF)])?;
        Ok(None)
    }

    /// A file was looked at for good.
    pub(super) fn count_file(&self, stat: &Stat) {
        self.count_looked(Some(Kind::File));
        let data = if stat.size <= PACK_FILE { stat.size } else { (stat.blocks * 512).min(stat.size) };
        self.counters.add(Counter::BytesDone, data);
        self.counters.add(Counter::FilesDone, 1);
        self.ledger.count_bytes(stat.size);
    }
}
