/** The path below which the server serves page, API and sockets; empty at the root. The server writes it into the page. */
export const base: string =
  globalThis.document?.querySelector<HTMLMetaElement>('meta[name="roomful-base"]')?.content ?? "";
