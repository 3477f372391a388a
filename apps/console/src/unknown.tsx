// The line in place of a user or a room that the server does not know.

/** `what` says what `name` should be, such as "room with the name". */
export function Unknown({ what, name }: { what: string; name: string }) {
  return (
    <p className="empty" role="status" data-testid="unknown">
      No {what} “<bdi>{name}</bdi>” is known.
    </p>
  );
}
