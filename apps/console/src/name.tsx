// A name or an id in a table: cut off where the table has no room for it.

export function Name({ children }: { children: string }) {
  return (
    // The styles read the title, and the pointer shows it.
    <span className="name" title={children}>
      <bdi>{children}</bdi>
    </span>
  );
}
