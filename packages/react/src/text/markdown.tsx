// Markdown of messages as React elements: emphasis, code, links, lists and quotes. Text never becomes HTML.

import { Lexer, Tokenizer, getDefaults, type Token, type Tokens } from "marked";
import { Fragment, type ReactNode } from "react";

import { pieces } from "./mentions.ts";
import { safeUrl } from "./safe_url.ts";

/** Leaves out HTML, headings, rules, tables, indented code and link definitions: they show as typed. */
class ChatTokenizer extends Tokenizer {
  override html(): undefined {}
  override tag(): undefined {}
  override heading(): undefined {}
  override lheading(): undefined {}
  override hr(): undefined {}
  override table(): undefined {}
  override code(): undefined {}
  override def(): undefined {}
  override reflink(): undefined {}
}

/** Props of `Markdown`. */
export interface MarkdownProps {
  readonly text: string;
  /** Names that stand behind an "@" in the text and are shown as mentions. */
  readonly mentions?: readonly string[];
}

/** A text with Markdown. Everything that is not Markdown is shown as it was typed. */
export function Markdown({ text, mentions = [] }: MarkdownProps) {
  return <>{blocks(parse(text), mentions)}</>;
}

/** The text of a message without Markdown's marks, on one line: for previews and announcements. */
export function plainText(text: string): string {
  return flat(parse(text)).replace(/\s+/g, " ").trim();
}

function parse(text: string): Token[] {
  try {
    return new Lexer({ ...getDefaults(), gfm: true, breaks: true, tokenizer: new ChatTokenizer() }).lex(
      text,
    );
  } catch {
    return [{ type: "text", raw: text, text }];
  }
}

function flat(tokens: readonly Token[]): string {
  return tokens
    .map((token) => {
      if (token.type === "list")
        return (token as Tokens.List).items.map((item) => flat(item.tokens)).join(" ");
      if (token.type === "br" || token.type === "space") return " ";
      if ("tokens" in token && token.tokens)
        return flat(token.tokens) + (token.type === "paragraph" ? " " : "");
      return "text" in token ? String(token.text) : token.raw;
    })
    .join("");
}

function blocks(tokens: readonly Token[], names: readonly string[]): ReactNode {
  return tokens.map((token, at) => <Fragment key={at}>{block(token, names)}</Fragment>);
}

function block(token: Token, names: readonly string[]): ReactNode {
  switch (token.type) {
    case "space":
      return null;
    case "paragraph":
      return <p>{inlines(token.tokens ?? [], names)}</p>;
    case "code":
      return (
        <pre tabIndex={0}>
          <code>{(token as Tokens.Code).text}</code>
        </pre>
      );
    case "blockquote":
      return <blockquote>{blocks(token.tokens ?? [], names)}</blockquote>;
    case "list":
      return list(token as Tokens.List, names);
    case "text":
      return token.tokens ? inlines(token.tokens, names) : mentioned((token as Tokens.Text).text, names);
    default:
      return inline(token, names);
  }
}

function list({ ordered, start, items }: Tokens.List, names: readonly string[]): ReactNode {
  const lines = items.map((item, at) => <li key={at}>{blocks(item.tokens, names)}</li>);
  return ordered ? <ol start={start === "" ? 1 : start}>{lines}</ol> : <ul>{lines}</ul>;
}

function inlines(tokens: readonly Token[], names: readonly string[]): ReactNode {
  return tokens.map((token, at) => <Fragment key={at}>{inline(token, names)}</Fragment>);
}

function inline(token: Token, names: readonly string[]): ReactNode {
  switch (token.type) {
    case "text":
      return token.tokens ? inlines(token.tokens, names) : mentioned((token as Tokens.Text).text, names);
    case "escape":
      return (token as Tokens.Escape).text;
    case "strong":
      return <strong>{inlines(token.tokens ?? [], names)}</strong>;
    case "em":
      return <em>{inlines(token.tokens ?? [], names)}</em>;
    case "del":
      return <del>{inlines(token.tokens ?? [], names)}</del>;
    case "codespan":
      return <code>{(token as Tokens.Codespan).text}</code>;
    case "br":
      return <br />;
    case "link":
    case "image":
      return link(token as Tokens.Link | Tokens.Image);
    default:
      return token.raw;
  }
}

function link({ href, raw, tokens = [], text }: Tokens.Link | Tokens.Image): ReactNode {
  const url = safeUrl(href);
  if (url === undefined) return raw;
  // The title tells where a link with another text leads.
  return (
    <a
      href={url}
      title={text === href ? undefined : url}
      target="_blank"
      rel="noopener noreferrer nofollow ugc"
    >
      {tokens.length > 0 ? inlines(tokens, []) : text || url}
    </a>
  );
}

function mentioned(text: string, names: readonly string[]): ReactNode {
  if (names.length === 0) return text;
  return pieces(text, names).map((piece, at) =>
    piece.name === undefined ? (
      <Fragment key={at}>{piece.text}</Fragment>
    ) : (
      <span key={at} className="rf-mention" data-testid="mention">
        {piece.text}
      </span>
    ),
  );
}
