// Code in a table that breaks between its words: a key, an event, a call.

import { Fragment } from "react";

export function Words({ children }: { children: string }) {
  const words = children.split(/(?<=[._/])/);
  return (
    <code className="words">
      {words.map((word, index) => (
        <Fragment key={index}>
          {word}
          <wbr />
        </Fragment>
      ))}
    </code>
  );
}
