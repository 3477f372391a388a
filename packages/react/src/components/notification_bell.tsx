// The bell: a button with the number of unread notifications, and their list.

import { useNotifications } from "../hooks.ts";
import { useLocale, useTexts } from "../provider.tsx";
import { shortCount } from "../text/counts.ts";
import { fullTime, shortTime } from "../text/times.ts";
import type { Notification } from "@roomful/client";
import { useRef } from "react";

import { Icon } from "./icon.tsx";
import { leftOnPage } from "./on_page.ts";
import { useBrowserLayoutEffect } from "./use_layout_effect.ts";
import { usePopup } from "./use_popup.ts";

/** Props of `NotificationBell`. */
export interface NotificationBellProps {
  /** Called when the user chooses a notification, which is then marked as read. */
  readonly onOpen?: (notification: Notification) => void;
}

/** A button with the number of unread notifications. It opens their list. */
export function NotificationBell({ onOpen }: NotificationBellProps) {
  const texts = useTexts();
  const locale = useLocale();
  const [{ notifications: all, unread, hasOlder }, notifications] = useNotifications();
  const { open, toggle, area, button } = usePopup<HTMLDivElement>();
  const list = useRef<HTMLDivElement>(null);
  useBrowserLayoutEffect(() => {
    if (open && list.current) keepOnPage(list.current);
  }, [open]);
  const choose = (notification: Notification) => {
    if (notification.readAt === undefined) notifications.markRead(notification.id).catch(() => undefined);
    onOpen?.(notification);
  };
  return (
    <div ref={area} className="rf-bell">
      <button
        ref={button}
        type="button"
        className="rf-icon-button"
        data-testid="bell"
        aria-label={texts.notifications(unread)}
        aria-expanded={open}
        onClick={toggle}
      >
        <Icon name="bell" />
        {unread > 0 && (
          <span className="rf-badge" data-testid="bell-badge" aria-hidden="true">
            {shortCount(unread)}
          </span>
        )}
      </button>
      {open && (
        <div
          ref={list}
          className="rf-notices"
          data-testid="notices"
          role="group"
          aria-label={texts.notifications(0)}
        >
          <div className="rf-notices-head">
            <strong>{texts.notifications(0)}</strong>
            {unread > 0 && (
              <button
                type="button"
                className="rf-link"
                data-testid="read-all"
                onClick={() => notifications.markRead().catch(() => undefined)}
              >
                {texts.markAllRead}
              </button>
            )}
          </div>
          {all.length === 0 && <p className="rf-notices-none">{texts.noNotifications}</p>}
          <ul>
            {all.map((notification) => (
              <li key={notification.id}>
                <button
                  type="button"
                  className="rf-notice"
                  data-testid="notice"
                  data-unread={notification.readAt === undefined}
                  onClick={() => choose(notification)}
                >
                  <span className="rf-notice-title" dir="auto">
                    {notification.title}
                  </span>
                  <time
                    className="rf-time"
                    dateTime={new Date(notification.at).toISOString()}
                    title={fullTime(notification.at, locale)}
                  >
                    {shortTime(notification.at, Date.now(), locale)}
                  </time>
                  <span className="rf-notice-body" dir="auto">
                    {notification.body}
                  </span>
                </button>
              </li>
            ))}
          </ul>
          {hasOlder && (
            <button
              type="button"
              className="rf-link rf-more"
              onClick={() => notifications.loadOlder().catch(() => undefined)}
            >
              {texts.more}
            </button>
          )}
        </div>
      )}
    </div>
  );
}

/** Moves a box sideways onto the page, wherever its button stands. */
function keepOnPage(box: HTMLElement): void {
  const { left, width } = box.getBoundingClientRect();
  const shift = leftOnPage(left, width) - left;
  if (shift !== 0) box.style.translate = `${shift}px`;
}
