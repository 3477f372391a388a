// Ids by which the server knows a second try from a second thing.

/** `crypto.randomUUID` exists on secure origins only; a plain-HTTP address in a local network is none. */
export function newId(): string {
  return (
    crypto.randomUUID?.() ??
    [...crypto.getRandomValues(new Uint8Array(16))]
      .map((byte) => byte.toString(16).padStart(2, "0"))
      .join("")
  );
}
