// Links between the parts of a view.

export interface Tab {
  readonly name: string;
  readonly label: string;
  readonly href: string;
}

export function Tabs({
  label,
  tabs,
  open,
}: {
  label: string;
  tabs: readonly Tab[];
  open: string | undefined;
}) {
  if (tabs.length < 2) return null;
  return (
    <nav className="tabs" aria-label={label}>
      {tabs.map(({ name, label: text, href }) => (
        <a
          key={name}
          href={href}
          data-testid={`tab-${name}`}
          aria-current={name === open ? "page" : undefined}
        >
          {text}
        </a>
      ))}
    </nav>
  );
}
