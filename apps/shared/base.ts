/** The path of the page, the API and Socket.IO; empty at the root. The server writes it into the page. */
export const base: string =
  globalThis.document?.querySelector<HTMLMetaElement>('meta[name="roomful-base"]')?.content ?? "";
