// The keys of the grid. The open photo has its own, in the viewer.

import * as selection from "./selection.js";
import { state } from "./state.js";

export function listenForKeys({ photos, terms, similar, showKeys, toggleFilters, selectAll, unselect }) {
  const { grid } = photos;
  const here = () => grid.results?.hits.get(grid.focused);
  const move = (index) => grid.focus(grid.hasFocus() ? index : grid.focused);
  const keys = {
    ArrowRight: () => move(grid.focused + 1),
    ArrowLeft: () => move(grid.focused - 1),
    ArrowDown: () => move(grid.neighbour(grid.focused, 1)),
    ArrowUp: () => move(grid.neighbour(grid.focused, -1)),
    j: () => move(grid.focused + 1),
    k: () => move(grid.focused - 1),
    x: () => grid.hasFocus() && grid.select(grid.focused, false),
    X: () => grid.hasFocus() && grid.select(grid.focused, true),
    m: () => grid.hasFocus() && similar(here(), 1),
    l: () => grid.hasFocus() && similar(here(), -1),
    Escape: () => unselect(),
  };
  addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not([type=checkbox], [type=radio], [type=range]), textarea, select");
    if (event.defaultPrevented || typing || document.querySelector("dialog[open]") || event.altKey) return;
    const photosShown = state().view === "photos" && grid.results?.total > 0;
    if (event.ctrlKey || event.metaKey) {
      if (event.key === "a" && photosShown) {
        event.preventDefault();
        selectAll();
      }
      return;
    }
    const run = { "/": () => (terms.field.focus(), terms.field.select()), "?": showKeys, f: toggleFilters }[event.key] ?? (photosShown ? keys[event.key] : null);
    if (!run) return;
    const arrow = event.key.startsWith("Arrow");
    if (arrow && (!grid.results || event.target.closest("button, canvas, summary, input, [role=checkbox]"))) return;
    if (event.key === "Escape" && selection.size() === 0) return;
    event.preventDefault();
    run();
  });
}
