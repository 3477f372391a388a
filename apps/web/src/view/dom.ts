// Building and keeping elements. Text always goes in as text; nothing here parses HTML.

type Child = Node | string | undefined | false;

interface Props {
  class?: string;
  testid?: string;
  /** Attributes; true sets an empty one, false and undefined none. */
  attrs?: Record<string, string | number | boolean | undefined>;
  on?: { [E in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[E]) => void };
}

export function h<T extends keyof HTMLElementTagNameMap>(
  tag: T,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[T] {
  const element = document.createElement(tag);
  if (props.class) element.className = props.class;
  if (props.testid) element.dataset["testid"] = props.testid;
  for (const [name, value] of Object.entries(props.attrs ?? {})) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  for (const [event, hear] of Object.entries(props.on ?? {}))
    element.addEventListener(event, hear as EventListener);
  for (const child of children) if (child !== undefined && child !== false) element.append(child);
  return element;
}

/** Writes a text only if it changed, so that selections and screen readers are left alone. */
export function setText(element: Node, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export interface Entry<T> {
  element: HTMLElement;
  update(item: T): void;
}

/** Keeps one element per key below a parent: makes, updates, moves and removes as the items say. */
export class Keyed<T> {
  private entries = new Map<string, Entry<T>>();

  constructor(
    private readonly parent: HTMLElement,
    private readonly make: (item: T) => Entry<T>,
  ) {}

  show(items: readonly T[], key: (item: T) => string): void {
    const next = new Map<string, Entry<T>>();
    let place = this.parent.firstElementChild;
    for (const item of items) {
      const name = key(item);
      if (next.has(name)) continue;
      const entry = this.entries.get(name) ?? this.make(item);
      this.entries.delete(name);
      next.set(name, entry);
      entry.update(item);
      if (entry.element === place) place = place.nextElementSibling;
      else this.parent.insertBefore(entry.element, place);
    }
    for (const { element } of this.entries.values()) element.remove();
    this.entries = next;
  }
}
