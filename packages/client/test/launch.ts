// Starts Debian's Chromium, or the one that `CHROMIUM` names.

import { chromium, type Browser } from "playwright-core";

export function launch(): Promise<Browser> {
  // Chromium has no sandbox for root in a container; the tests browse only their own page.
  const args = ["--no-sandbox", "--disable-dev-shm-usage"];
  return chromium.launch({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args });
}
