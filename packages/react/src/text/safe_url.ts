// Addresses that a text or a profile may lead to.

const PROTOCOLS = new Set(["http:", "https:", "mailto:"]);

/** The address of a link, if it is one that a message may lead to. */
export function safeUrl(href: string): string | undefined {
  try {
    const url = new URL(href);
    return PROTOCOLS.has(url.protocol) ? url.href : undefined;
  } catch {
    return undefined;
  }
}
