// Dark or light, and large type for a projector. The choice is kept in this browser.

import { byId, setText } from "./dom.js";

const kept = {
  get(key) {
    try {
      return localStorage.getItem(key);
    } catch {
      return null; // storage may be forbidden; the choice then lasts until the page is left
    }
  },
  set(key, value) {
    try {
      localStorage.setItem(key, value);
    } catch {
      // as above
    }
  },
};

/** Connect the two buttons in the page's head. */
export function connectAppearance() {
  const root = document.documentElement;
  const theme = byId("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const label = () => setText(theme, isDark() ? "Light" : "Dark");
  const chosen = kept.get("mralab-theme");
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    kept.set("mralab-theme", root.dataset.theme);
    label();
  });
  system.addEventListener("change", label);
  label();

  const projector = byId("projector");
  const size = (isLarge) => {
    root.dataset.type = isLarge ? "large" : "";
    projector.setAttribute("aria-pressed", String(isLarge));
  };
  size(kept.get("mralab-type") === "large");
  projector.addEventListener("click", () => {
    size(root.dataset.type !== "large");
    kept.set("mralab-type", root.dataset.type);
  });
}
