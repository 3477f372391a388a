// Light, dark, or as the system says; the choice is kept in the browser.

import { lasting } from "../storage.ts";
import { h } from "./dom.ts";
import { icon, type IconName } from "./icon.ts";

const THEMES = ["system", "light", "dark"] as const;
type Theme = (typeof THEMES)[number];

const LOOKS: Record<Theme, { icon: IconName; label: string }> = {
  system: { icon: "screen", label: "Theme: as the system" },
  light: { icon: "sun", label: "Theme: light" },
  dark: { icon: "moon", label: "Theme: dark" },
};

export function applyTheme(): Theme {
  const kept = lasting.read("theme");
  const theme = THEMES.find((candidate) => candidate === kept) ?? "system";
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
  return theme;
}

export function themeToggle(): HTMLButtonElement {
  const button = h("button", { class: "icon-button", testid: "theme-toggle", attrs: { type: "button" } });
  const show = (): void => {
    const look = LOOKS[applyTheme()];
    button.replaceChildren(icon(look.icon));
    button.title = look.label;
    button.setAttribute("aria-label", look.label);
  };
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(applyTheme()) + 1) % THEMES.length] ?? "system";
    lasting.write("theme", next);
    show();
  });
  show();
  return button;
}
