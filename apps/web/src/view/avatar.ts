// The face beside a name. Decoration only: the name itself stands next to it.

import { hue, initials } from "../format/faces.ts";
import { h, setText, type Entry } from "./dom.ts";

export interface Face {
  userId: string;
  name: string;
}

export function avatar(face: Face, extra = ""): Entry<Face> {
  const element = h("span", {
    class: `avatar ${extra}`.trim(),
    attrs: { "aria-hidden": "true", "data-hue": hue(face.userId) },
  });
  const update = ({ name }: Face): void => setText(element, initials(name));
  update(face);
  return { element, update };
}
