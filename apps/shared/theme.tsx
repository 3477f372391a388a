// Light, dark, or as the system says; the choice is kept in the browser.

import { useState } from "react";

import { Icon, type IconName } from "./icon.tsx";
import { lasting } from "./storage.ts";

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

export function ThemeToggle() {
  const [theme, setTheme] = useState(applyTheme);
  const { icon, label } = LOOKS[theme];
  const next = () => {
    lasting.write("theme", THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]);
    setTheme(applyTheme());
  };
  return (
    <button
      type="button"
      className="icon-button"
      data-testid="theme-toggle"
      title={label}
      aria-label={label}
      onClick={next}
    >
      <Icon name={icon} />
    </button>
  );
}
