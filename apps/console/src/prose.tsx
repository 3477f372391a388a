// A text of the server, with code in place of its backticks.

import { Fragment } from "react";

export function Prose({ text }: { text: string }) {
  // Every second part is between backticks.
  const parts = text.split(/`([^`]+)`/);
  return parts.map((part, index) => (
    <Fragment key={index}>{index % 2 === 0 ? part : <code>{part}</code>}</Fragment>
  ));
}
