// The field in which an own message is rewritten, in its place. Enter saves, Shift+Enter breaks the line,
// Escape gives up.

import type { Chat } from "../chat/chat.ts";
import type { Message } from "../contract.ts";
import { h } from "./dom.ts";

export function editor(chat: Chat, message: Message, close: () => void): HTMLElement {
  const field = h("textarea", {
    class: "field edit-field",
    testid: "edit-field",
    attrs: { rows: 1, "aria-label": "Edit the message", enterkeyhint: "done" },
  });
  field.value = message.text;
  const button = (label: string, testid: string, type: "button" | "submit"): HTMLButtonElement =>
    h("button", { class: "link-button", testid, attrs: { type } }, label);
  const saver = button("Save", "edit-save", "submit");
  const cancel = button("Cancel", "edit-cancel", "button");
  const form = h(
    "form",
    { class: "editor", testid: "editor" },
    field,
    h(
      "div",
      { class: "editor-foot" },
      saver,
      cancel,
      h("span", { class: "hint-keys" }, "Enter saves, Esc cancels"),
    ),
  );
  const fit = (): void => {
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight + 2}px`;
  };
  const leave = (): void => {
    const line = form.closest<HTMLElement>(".message");
    close();
    line?.focus();
  };
  const save = async (): Promise<void> => {
    const text = field.value.trim();
    if (text === message.text.trim()) return leave();
    if (text === "" || new TextEncoder().encode(text).length > chat.textBytes)
      return field.setAttribute("aria-invalid", "true");
    field.disabled = saver.disabled = true;
    if (await chat.changing.edit(message, text)) return leave();
    // Keep the text: another attempt may succeed.
    field.disabled = saver.disabled = false;
    field.focus();
  };
  field.addEventListener("input", () => {
    field.removeAttribute("aria-invalid");
    fit();
  });
  form.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Escape") leave();
    else if (event.key === "Enter" && !event.shiftKey && event.target === field) void save();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void save();
  });
  cancel.addEventListener("click", leave);
  // The field can be measured and focused once it stands in the page.
  requestAnimationFrame(() => {
    fit();
    field.focus();
    field.setSelectionRange(field.value.length, field.value.length);
  });
  return form;
}
