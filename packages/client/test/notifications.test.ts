// Notifications that arrive while a page of them loads.

import { expect, test } from "vitest";
import type { Notification, Request } from "../src/contract.ts";
import { Notifications } from "../src/notifications.ts";

const notification = (id: string, at: number): Notification => ({
  id,
  kind: "test",
  title: id,
  body: "",
  data: null,
  at,
});

test("a page that is older than a live notification does not hide it", async () => {
  const pages: ((page: unknown) => void)[] = [];
  const request = () => new Promise((answer) => pages.push(answer));
  const notifications = new Notifications(request as Request);
  const loading = notifications.load();
  const missed = notification("missed", 1);
  expect(notifications.received(missed)).toBe(true);
  expect(notifications.received(notification("live", 2))).toBe(true);
  pages[0]!({ notifications: [missed], unread: 1, more: false });
  await loading;
  const { notifications: shown, unread } = notifications.getSnapshot();
  expect(shown.map(({ id }) => id)).toEqual(["live", "missed"]);
  expect(unread).toBe(2);
});
