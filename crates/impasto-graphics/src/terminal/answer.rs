//! What to ask a terminal, and what its answer means.

use std::env;

use super::placeholders::has_placeholders;
use super::sequence::Sequence;
use super::tmux::Outer;
use super::{Capabilities, Graphics, Terminal, is_plausible_cell_size, variable};

/// Whether a picture could be shown that is sent along (31), or that lies in a
/// file (32, one that is not there). The printer asks both again and waits for
/// its answers without a limit, so it may only use what has been answered here.
const SENT_ALONG: &str = "_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA";
const IN_A_FILE: &str = "_Gi=32,s=1,v=1,a=q,t=t;L3RtcC8udHR5LWdyYXBoaWNzLXByb3RvY29sLm5vbmU=";
/// What it calls itself.
const NAME: &str = "\x1b[>q";
/// The size of a cell, and of the window, in pixels.
const SIZES: &str = "\x1b[16t\x1b[14t";
/// Its attributes, of which 4 is sixel. Every terminal answers this.
const ATTRIBUTES: &str = "\x1b[c";
const SIXEL: u16 = 4;
const MAX_NAME: usize = 64;

/// What to write to `terminal`, whose last part is answered by every terminal.
/// Inside tmux the question about kitty's protocol is for the terminal around
/// it, which receives it if tmux lets it pass; the rest tmux answers.
pub fn question(terminal: &Terminal) -> String {
    let mut question = String::new();
    if terminal.tmux {
        question += &format!("\x1bPtmux;\x1b\x1b{SENT_ALONG}\x1b\x1b\\\x1b\\");
    } else {
        for one in [SENT_ALONG, IN_A_FILE] {
            question += &format!("\x1b{one}\x1b\\");
        }
        question += NAME;
    }
    if terminal.cell.is_none() {
        question += SIZES;
    }
    question + ATTRIBUTES
}

/// What the terminal has answered so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Whether it shows pictures by kitty's protocol.
    kitty: Option<bool>,
    /// Whether it said anything about pictures in files.
    files: bool,
    attributes: Option<Vec<u16>>,
    name: Option<String>,
    cell: Option<(u16, u16)>,
    window: Option<(u16, u16)>,
}

impl Answer {
    /// Takes note of a reply. False if the sequence is none, but a key.
    pub fn take(&mut self, sequence: &Sequence<'_>) -> bool {
        match *sequence {
            Sequence::Words { kind: b'_', words } => self.take_kitty(words),
            Sequence::Words { kind: b'P', words } => {
                if let Some(name) = words.strip_prefix(b">|") {
                    let name = name.iter().take(MAX_NAME).map(|byte| char::from(*byte));
                    self.name = Some(name.filter(char::is_ascii_graphic).collect());
                }
            }
            Sequence::Words { .. } => {}
            Sequence::Csi {
                parameters,
                last: b'c',
            } => {
                if let Some(attributes) = parameters.strip_prefix(b"?") {
                    self.attributes = Some(numbers(attributes));
                }
            }
            Sequence::Csi {
                parameters,
                last: b't',
            } => match numbers(parameters)[..] {
                [6, height, width] if width > 0 && height > 0 => self.cell = Some((width, height)),
                [4, height, width] => self.window = Some((width, height)),
                _ => {}
            },
            _ => return false,
        }
        true
    }

    fn take_kitty(&mut self, words: &[u8]) {
        let Some((number, message)) = words.strip_prefix(b"Gi=").and_then(|rest| {
            let end = rest.iter().position(|byte| *byte == b';')?;
            Some((&rest[..end], &rest[end + 1..]))
        }) else {
            return;
        };
        match number {
            b"31" => self.kitty = Some(message == b"OK"),
            b"32" => self.files = true,
            _ => {}
        }
    }

    /// Whether the question is answered. tmux answers before the terminal
    /// around it can, so there that one's answer has to be waited for, if it
    /// is one that will matter.
    pub fn is_complete(&self, outer: Option<&Outer>) -> bool {
        let waits = outer.is_some_and(Outer::may_show_kitty) && self.kitty.is_none();
        self.attributes.is_some() && !waits
    }

    fn has_sixel(&self) -> bool {
        self.attributes
            .as_ref()
            .is_some_and(|attributes| attributes.contains(&SIXEL))
    }
}

impl Terminal {
    /// What this terminal can do, by what it has answered and, inside tmux, by
    /// what tmux says of the terminal around it.
    pub fn capabilities(&self, answer: &Answer, outer: Option<&Outer>) -> Capabilities {
        let cell = self.cell.or(answer.cell).or_else(|| {
            let (width, height) = answer.window?;
            let cell = (
                width.checked_div(self.columns)?,
                height.checked_div(self.rows)?,
            );
            Some(cell)
        });
        let cell = cell.filter(|cell| is_plausible_cell_size(*cell));
        if self.multiplexer {
            return Capabilities {
                pane: outer.map_or(Graphics::HalfBlocks, |outer| in_tmux(answer, outer)),
                // The printer does not know how to get through.
                print: Graphics::HalfBlocks,
                cell: cell.or(outer.and_then(|outer| outer.cell)),
                tmux: self.tmux,
            };
        }
        let named = Named {
            name: answer.name.as_deref(),
            term: &variable("TERM"),
            iterm: viuer::is_iterm_supported(),
            konsole: env::var_os("KONSOLE_VERSION").is_some(),
        };
        Capabilities {
            pane: in_a_pane(answer, &named),
            print: in_print(answer, &named),
            cell,
            tmux: false,
        }
    }
}

/// What identifies the terminal program.
struct Named<'a> {
    /// Its own words, if it gave any.
    name: Option<&'a str>,
    term: &'a str,
    /// Whether the environment is that of a terminal with iTerm2's protocol.
    iterm: bool,
    konsole: bool,
}

impl Named<'_> {
    /// Whether it draws pictures at kitty's placeholder characters. Others
    /// speak the rest of the protocol and show these as rubbish.
    fn has_placeholders(&self) -> bool {
        match self.name {
            Some(name) => has_placeholders(name),
            None => self.term.contains("kitty") || self.term.contains("ghostty"),
        }
    }

    fn has_iterm(&self) -> bool {
        match self.name {
            Some(name) => {
                let name = name.to_ascii_lowercase();
                let known = ["iterm2", "wezterm", "mintty", "rio"];
                known.iter().any(|known| name.starts_with(known))
            }
            // Konsole's is slow to draw over and over.
            None => self.iterm && !self.konsole,
        }
    }
}

fn in_a_pane(answer: &Answer, named: &Named<'_>) -> Graphics {
    if answer.kitty == Some(true) && named.has_placeholders() {
        Graphics::Kitty
    } else if named.has_iterm() {
        Graphics::Iterm
    } else if answer.has_sixel() {
        Graphics::Sixel
    } else {
        Graphics::HalfBlocks
    }
}

/// What the printer can use. It looks for iTerm2's protocol in the environment
/// alone.
fn in_print(answer: &Answer, named: &Named<'_>) -> Graphics {
    if named.iterm {
        Graphics::Iterm
    } else if answer.kitty == Some(true) && answer.files {
        Graphics::Kitty
    } else if answer.has_sixel() {
        Graphics::Sixel
    } else {
        Graphics::HalfBlocks
    }
}

/// iTerm2's protocol is of no use here: tmux passes a picture on without
/// putting the cursor in its place first.
fn in_tmux(answer: &Answer, outer: &Outer) -> Graphics {
    if answer.kitty == Some(true) && outer.may_show_kitty() {
        Graphics::Kitty
    } else if answer.has_sixel() && outer.has_sixel() {
        // This tmux draws sixel by itself.
        Graphics::Sixel
    } else {
        Graphics::HalfBlocks
    }
}

/// Numbers with semicolons between them; what is no number counts as 0.
fn numbers(parameters: &[u8]) -> Vec<u16> {
    let text = str::from_utf8(parameters).unwrap_or_default();
    text.split(';')
        .map(|one| one.parse().unwrap_or(0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::sequence;

    fn answer(mut bytes: &[u8]) -> Answer {
        let mut answer = Answer::default();
        while let Some((sequence, length)) = sequence::first(bytes) {
            answer.take(&sequence);
            bytes = &bytes[length..];
        }
        answer
    }

    fn nobody() -> Named<'static> {
        Named {
            name: None,
            term: "xterm-256color",
            iterm: false,
            konsole: false,
        }
    }

    fn pane(reply: &[u8]) -> Graphics {
        let answer = answer(reply);
        let named = Named {
            name: answer.name.as_deref(),
            ..nobody()
        };
        in_a_pane(&answer, &named)
    }

    #[test]
    fn terminals_that_are_known_get_what_they_draw_best() {
        for (reply, graphics) in [
            (
                &b"\x1b_Gi=31;OK\x1b\\\x1bP>|kitty(0.36.4)\x1b\\\x1b[?62;c"[..],
                Graphics::Kitty,
            ),
            (
                b"\x1b_Gi=31;OK\x1b\\\x1bP>|kitty(0.27.1)\x1b\\\x1b[?62;c",
                Graphics::HalfBlocks,
            ),
            (
                b"\x1b_Gi=31;OK\x1b\\\x1bP>|kitty(1.0)\x1b\\\x1b[?62;c",
                Graphics::Kitty,
            ),
            (
                b"\x1b_Gi=31;OK\x1b\\\x1bP>|ghostty 1.1.0\x1b\\\x1b[?62;22c",
                Graphics::Kitty,
            ),
            // These answer for kitty's protocol and lack its placeholders.
            (
                b"\x1b_Gi=31;OK\x1b\\\x1bP>|WezTerm 20240203-110809-5046fc22\x1b\\\x1b[?65;4;6;18;22c",
                Graphics::Iterm,
            ),
            (
                b"\x1b_Gi=31;OK\x1b\\\x1bP>|Konsole 25.08.1\x1b\\\x1b[?62;1;4c",
                Graphics::Sixel,
            ),
            (
                b"\x1b_Gi=31;OK\x1b\\\x1bP>|Konsole 21.12.3\x1b\\\x1b[?62;1c",
                Graphics::HalfBlocks,
            ),
            (b"\x1bP>|iTerm2 3.5.0\x1b\\\x1b[?62;4c", Graphics::Iterm),
            (b"\x1bP>|foot(1.16.2)\x1b\\\x1b[?62;4;22c", Graphics::Sixel),
            (b"\x1bP>|XTerm(390)\x1b\\\x1b[?64;1;2;9c", Graphics::HalfBlocks),
            (b"\x1b[?64;14;44c", Graphics::HalfBlocks),
            (
                b"\x1b_Gi=31;ENOTSUPPORTED\x1b\\\x1b[?1;2c",
                Graphics::HalfBlocks,
            ),
            // A key that was typed first is no answer and spoils none.
            (b"q\x1b[?62;4c", Graphics::Sixel),
            (b"", Graphics::HalfBlocks),
        ] {
            assert_eq!(pane(reply), graphics, "{}", reply.escape_ascii());
        }
    }

    #[test]
    fn without_a_name_the_environment_decides() {
        let reply = answer(b"\x1b_Gi=31;OK\x1b\\\x1b[?62;c");
        let kitty = Named {
            term: "xterm-kitty",
            ..nobody()
        };
        assert_eq!(in_a_pane(&reply, &kitty), Graphics::Kitty);
        // One that says nothing shows nothing.
        assert_eq!(in_a_pane(&Answer::default(), &kitty), Graphics::HalfBlocks);
        let mut iterm = Named {
            iterm: true,
            ..nobody()
        };
        assert_eq!(in_a_pane(&Answer::default(), &iterm), Graphics::Iterm);
        iterm.konsole = true;
        assert_eq!(in_a_pane(&Answer::default(), &iterm), Graphics::HalfBlocks);
    }

    #[test]
    fn the_printer_uses_only_what_will_be_answered_again() {
        let printed = |reply| in_print(&answer(reply), &nobody());
        assert_eq!(
            printed(b"\x1b_Gi=31;OK\x1b\\\x1b_Gi=32;EBADF:no such file\x1b\\\x1b[?62;c"),
            Graphics::Kitty
        );
        // One that leaves the second question open would hang the printer.
        assert_eq!(
            printed(b"\x1b_Gi=31;OK\x1b\\\x1b[?62;c"),
            Graphics::HalfBlocks
        );
        assert_eq!(printed(b"\x1b[?62;4;22c"), Graphics::Sixel);
    }

    #[test]
    fn an_answer_is_complete_with_the_attributes() {
        assert!(answer(b"\x1b_Gi=31;OK\x1b\\\x1b[?62c").is_complete(None));
        for partial in [
            &b""[..],
            b"\x1b[?62;4",
            b"\x1b_Gi=31;OK\x1b\\",
            b"c",
            b"\x1b[>1;4000;39c",
        ] {
            assert!(!answer(partial).is_complete(None), "{partial:?}");
        }
    }

    #[test]
    fn within_tmux_the_terminal_around_it_counts() {
        let kitty = Outer::read("xterm-kitty|kitty(0.36.4)|title|8|16|1").unwrap();
        let reply = answer(b"\x1b[?1;2c");
        // tmux was first; kitty's own answer is still to come.
        assert!(!reply.is_complete(Some(&kitty)));
        assert_eq!(in_tmux(&reply, &kitty), Graphics::HalfBlocks);
        let reply = answer(b"\x1b[?1;2c\x1b_Gi=31;OK\x1b\\");
        assert!(reply.is_complete(Some(&kitty)));
        assert_eq!(in_tmux(&reply, &kitty), Graphics::Kitty);
        let konsole = Outer::read("xterm-256color|Konsole 25.08|RGB,title|8|16|1").unwrap();
        assert!(reply.is_complete(Some(&konsole)));
        assert_eq!(in_tmux(&reply, &konsole), Graphics::HalfBlocks);
        // A tmux that knows sixel, in a terminal that does and one that does not.
        let reply = answer(b"\x1b[?1;2;4c");
        let foot = Outer::read("foot|foot(1.16)|RGB,sixel|8|16|0").unwrap();
        assert_eq!(in_tmux(&reply, &foot), Graphics::Sixel);
        assert_eq!(in_tmux(&reply, &konsole), Graphics::HalfBlocks);
    }

    #[test]
    fn sizes_are_understood() {
        let mut terminal = Terminal {
            columns: 80,
            rows: 24,
            cell: None,
            colours: crate::terminal::Colours::True,
            multiplexer: false,
            tmux: false,
            ssh: false,
        };
        let cell =
            |terminal: &Terminal, reply: &[u8]| terminal.capabilities(&answer(reply), None).cell;
        assert_eq!(
            cell(&terminal, b"\x1b[6;18;9t\x1b[4;480;640t"),
            Some((9, 18))
        );
        assert_eq!(cell(&terminal, b"\x1b[4;480;640t"), Some((8, 20)));
        assert_eq!(cell(&terminal, b"\x1b[4;0;0t\x1b[6;0;0t\x1b[;;;t"), None);
        assert_eq!(cell(&terminal, b"\x1b[6;65535;9t"), None);
        assert!(question(&terminal).contains("[16t"));
        terminal.cell = Some((7, 14));
        assert_eq!(cell(&terminal, b"\x1b[6;18;9t"), Some((7, 14)));
        assert!(!question(&terminal).contains("[16t"));
    }
}
