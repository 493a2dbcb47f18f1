//! The process that runs one target: mutates, tries, measures, keeps what did something new.

use crate::guard::Meter;
use crate::mutate::mutate;
use crate::rng::Rng;
use crate::slot::Slot;
use crate::targets::Target;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What one input may take of the processor. Far above what any takes on a slow machine, far below what hurts.
const MOST_TIME: Duration = Duration::from_secs(2);
/// The stack of a tokio worker, which is where this code runs in the program.
const STACK: usize = 2 << 20;
/// How many inputs are kept for further mutation.
const KEPT: usize = 4096;

/// The first panic of any thread since the last look.
static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// An input that did what no input may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) why: String,
    pub(crate) input: Vec<u8>,
}

/// How a run went.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) tried: u64,
    pub(crate) kept: usize,
    pub(crate) finding: Option<Finding>,
}

/// Tries mutations of the target's seeds until `until` or the first finding.
pub(crate) fn run(
    target: &'static Target,
    seed: u64,
    time: Duration,
    slot: Option<&Path>,
) -> std::io::Result<Tally> {
    let slot = slot.map(Slot::open).transpose()?;
    on_worker(move || fuzz(target, seed, time, slot))
}

/// Tries one input, as it is.
pub(crate) fn replay(target: &'static Target, input: Vec<u8>) -> std::io::Result<Option<Finding>> {
    on_worker(move || Ok(attempt(target, &input).err().map(|why| Finding { why, input })))
}

fn on_worker<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    std::panic::set_hook(Box::new(|info| {
        let mut first = PANIC.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() {
            *first = Some(info.to_string());
        }
    }));
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(work)?;
    let done = thread.join().map_err(|_| {
        let why = PANIC.lock().unwrap_or_else(PoisonError::into_inner).take();
        std::io::Error::other(format!("the driver itself panicked: {}", why.unwrap_or_default()))
    })?;
    let _ = std::panic::take_hook();
    done
}

fn fuzz(
    target: &'static Target,
    seed: u64,
    time: Duration,
    mut slot: Option<Slot>,
) -> std::io::Result<Tally> {
    let mut rng = Rng::new(seed);
    let mut corpus = (target.seeds)();
    let seeds = corpus.len();
    let mut known = HashSet::new();
    let mut tally = Tally::default();
    let begun = Instant::now();
    while tally.tried < seeds as u64 || begun.elapsed() < time {
        // Every seed as it is first; afterwards often the newest, which are where something happens.
        let (input, new) = match usize::try_from(tally.tried).ok().filter(|i| *i < seeds) {
            Some(index) => (corpus[index].clone(), false),
            None => {
                let recent = if rng.once_in(2) { corpus.len().saturating_sub(64) } else { 0 };
                let from = recent + rng.below(corpus.len() - recent);
                (mutate(&mut rng, &corpus[from], &corpus, target.words, target.longest), true)
            }
        };
        if let Some(slot) = &mut slot {
            slot.begin(tally.tried, &input)?;
        }
        tally.tried += 1;
        match attempt(target, &input) {
            Ok(seen) => {
                if known.insert(seen) && new && corpus.len() < KEPT && input.len() <= 16 << 10 {
                    corpus.push(input);
                    tally.kept += 1;
                }
            }
            Err(why) => {
                let input = smaller(target, input, &why);
                tally.finding = Some(Finding { why, input });
                break;
            }
        }
    }
    Ok(tally)
}

/// Runs the target on one input. Errors: what it did that it may not.
fn attempt(target: &Target, input: &[u8]) -> Result<u64, String> {
    let meter = Meter::start();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let (memory, time) = (meter.memory(), meter.time());
    if let Some(why) = PANIC.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(why);
    }
    if time > MOST_TIME {
        return Err(format!(
            "{} bytes of input took {:.1} s of the processor",
            input.len(),
            time.as_secs_f32()
        ));
    }
    let most = target.memory + input.len() * 64;
    if memory > most {
        return Err(format!(
            "{} bytes of input took {memory} bytes of memory; {most} are allowed",
            input.len()
        ));
    }
    outcome.map_err(|_| "a panic without words".to_owned())
}

/// The same failure with less input: blocks are taken out as long as the first words of the reason stay the same.
fn smaller(target: &Target, mut input: Vec<u8>, why: &str) -> Vec<u8> {
    let place = |why: &str| {
        why.lines().next().unwrap_or_default().chars().filter(|c| !c.is_ascii_digit()).collect::<String>()
    };
    let wanted = place(why);
    let end = Instant::now() + Duration::from_secs(10);
    let mut block = input.len() / 2;
    while block > 0 && Instant::now() < end {
        let mut at = 0;
        while at < input.len() && Instant::now() < end {
            let mut fewer = input.clone();
            fewer.drain(at..(at + block).min(input.len()));
            match attempt(target, &fewer) {
                Err(why) if place(&why) == wanted => input = fewer,
                _ => at += block,
            }
        }
        block /= 2;
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Panics at a number that is one too many for its table: the kind of bug that this program is for.
    fn planted(input: &[u8]) -> u64 {
        let text = std::str::from_utf8(input).unwrap_or_default();
        let Some(rest) = text.strip_prefix("len=") else { return 0 };
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        match rest[..digits].parse::<usize>() {
            Ok(at) if at > 9 => [0u64; 250][at],
            Ok(_) => 1,
            Err(_) => 2,
        }
    }

    fn greedy(input: &[u8]) -> u64 {
        let asked = input.iter().filter(|b| **b == b'[').count().min(500) << 20;
        std::hint::black_box(vec![0u8; asked]).len() as u64
    }

    fn slow(input: &[u8]) -> u64 {
        let meter = Meter::start();
        while input.windows(4).any(|w| w == b"(((+") && meter.time() < MOST_TIME * 2 {}
        0
    }

    static PLANTED: Target =
        Target { name: "planted", run: planted, seeds: || vec![b"len=5;".to_vec()], ..Target::DEFAULT };
    static GREEDY: Target =
        Target { name: "greedy", run: greedy, seeds: || vec![b"[1]".to_vec()], ..Target::DEFAULT };
    static SLOW: Target = Target {
        name: "slow",
        run: slow,
        seeds: || vec![b"((+)".to_vec()],
        words: &["(("],
        ..Target::DEFAULT
    };
    static SOUND: Target =
        Target { name: "sound", run: |i| i.len() as u64 % 7, seeds: || vec![vec![]], ..Target::DEFAULT };

    /// One after the other, because memory, time and panics are counted for the whole process.
    #[test]
    fn finds_what_is_planted_and_nothing_else() {
        let _alone = crate::guard::ALONE.lock().unwrap();
        let time = Duration::from_secs(30);
        let found = run(&PLANTED, 1, time, None).unwrap().finding.unwrap();
        assert!(found.why.contains("index out of bounds"), "{}", found.why);
        assert!(found.input.starts_with(b"len="), "{found:?}");
        assert_eq!(replay(&PLANTED, found.input.clone()).unwrap().unwrap().input, found.input);

        let found = run(&GREEDY, 1, time, None).unwrap().finding.unwrap();
        assert!(found.why.contains("bytes of memory"), "{}", found.why);

        let found = run(&SLOW, 1, time, None).unwrap().finding.unwrap();
        assert!(found.why.contains("of the processor"), "{}", found.why);

        let sound = run(&SOUND, 1, Duration::from_millis(200), None).unwrap();
        assert_eq!(sound.finding, None);
        assert!(sound.tried > 100 && sound.kept > 2, "{sound:?}");
        assert_eq!(replay(&SOUND, b"anything".to_vec()).unwrap(), None);
    }
}
