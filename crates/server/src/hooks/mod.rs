//! Hooks over HTTP: asks the app before messages, joins and connections, see `docs/hooks.md`.
//!
//! | file | what |
//! |---|---|
//! | `hook` | one hook: its requests, their bounds, and its verdict without an answer |
//! | `answer` | the answer of an endpoint |
//! | `circuit` | when to stop asking an endpoint that fails, and when to try again |
//! | `figures` | metrics and log lines of one hook |

mod answer;
mod circuit;
mod figures;
mod hook;

use std::{fmt, io, sync::Arc};

use async_trait::async_trait;
use roomful_chat::{HookEvent, HookState, Hooks, Question, QuestionedMessage, Replacement, Verdict};

use self::hook::Hook;
use crate::{
    chat,
    config::Config,
    webhooks::{Client, SigningKeys},
};

/// Idle connections kept to each host.
const IDLE_CONNECTIONS: usize = 64;

/// The configured hooks. An event goes through all hooks that concern it, in the order of the settings; each
/// sees the message as the one before has left it.
pub(crate) struct HttpHooks {
    hooks: Box<[Hook]>,
}

/// Hooks, and their signing keys by name, so that a reload can replace them.
type Opened = (Arc<HttpHooks>, Vec<(String, SigningKeys)>);

/// The hooks of the settings; `None` if there are none.
pub(crate) fn open(config: &Config) -> io::Result<Option<Opened>> {
    if config.hooks.is_empty() {
        return Ok(None);
    }
    let limits = chat::limits(config);
    let client = Client::new(IDLE_CONNECTIONS, answer::largest(&limits))?;
    let hooks = config.hooks.iter();
    let hooks: Box<[_]> = hooks
        .filter_map(|hook| Hook::new(hook, &client, limits))
        .collect();
    let keys = hooks.iter().map(|hook| (hook.name().to_owned(), hook.keys()));
    let keys = keys.collect();
    Ok(Some((Arc::new(HttpHooks { hooks }), keys)))
}

#[async_trait]
impl Hooks for HttpHooks {
    fn concerns(&self, event: HookEvent, room: Option<&str>) -> bool {
        self.hooks.iter().any(|hook| hook.concerns(event, room))
    }

    fn states(&self) -> Vec<HookState> {
        self.hooks.iter().map(Hook::state).collect()
    }

    async fn ask(&self, question: Question<'_>) -> Verdict {
        let mut replaced = Replacement::default();
        let (event, room) = (question.event, question.room);
        for hook in self.hooks.iter().filter(|hook| hook.concerns(event, room)) {
            match hook.ask(&with(&question, &replaced)).await {
                Verdict::Allow => {}
                Verdict::Replace(Replacement { text, metadata }) => {
                    replaced.text = text.or(replaced.text);
                    replaced.metadata = metadata.or(replaced.metadata);
                }
                refused => return refused,
            }
        }
        if replaced == Replacement::default() {
            Verdict::Allow
        } else {
            Verdict::Replace(replaced)
        }
    }
}

impl fmt::Debug for HttpHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.hooks.iter().map(Hook::name);
        f.debug_list().entries(names).finish()
    }
}

/// The question with the parts of the message that earlier hooks have replaced.
fn with<'a>(question: &Question<'a>, replaced: &'a Replacement) -> Question<'a> {
    let message = question.message.map(|message| QuestionedMessage {
        text: replaced.text.as_deref().unwrap_or(message.text),
        metadata: match &replaced.metadata {
            Some(metadata) => metadata.as_ref(),
            None => message.metadata,
        },
        ..message
    });
    Question { message, ..*question }
}
