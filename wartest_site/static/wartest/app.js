// What every page does beyond plain links: theme, keyboard, polling that rests in hidden tabs, the tab's title and icon.
(() => {
  "use strict";
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);

  // Theme: automatic → light → dark
  const themes = { auto: ["◐", "automatic"], light: ["○", "light"], dark: ["●", "dark"] };
  const theme = () => localStorage.getItem("wartest-theme") || "auto";
  function showTheme() {
    const [shape, word] = themes[theme()] || themes.auto;
    byId("theme").textContent = shape;
    byId("theme").setAttribute("aria-label", `Colour theme: ${word}`);
  }
  function nextTheme() {
    const names = Object.keys(themes);
    const next = names[(names.indexOf(theme()) + 1) % names.length];
    if (next === "auto") {
      localStorage.removeItem("wartest-theme");
      delete root.dataset.theme;
    } else {
      localStorage.setItem("wartest-theme", next);
      root.dataset.theme = next;
    }
    showTheme();
    document.dispatchEvent(new Event("wartest:theme"));
  }
  byId("theme").addEventListener("click", nextTheme);
  showTheme();

  // Tab: a live part says its title and its icon
  function showTab() {
    const live = byId("live");
    if (!live || !live.dataset.title) return;
    document.title = live.dataset.title;
    byId("tab-icon").href = live.dataset.icon;
  }
  showTab();

  // Polling: rests while the tab is hidden, at once when it is seen again
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden && event.target.id === "live") event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && byId("live")) document.body.dispatchEvent(new Event("wake"));
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, requestConfig } = event.detail;
    const asked = new URL(requestConfig.path, location.href).pathname;
    if (xhr.responseURL && new URL(xhr.responseURL).pathname !== asked) {
      event.detail.shouldSwap = false; // the session ended: the answer is the sign-in page
      location.reload();
    }
  });
  const offline = (is) => () => { byId("offline").hidden = !is; };
  document.addEventListener("htmx:sendError", offline(true));
  document.addEventListener("htmx:responseError", offline(true));
  document.addEventListener("htmx:afterOnLoad", offline(false));
  document.addEventListener("htmx:afterSwap", () => { showTab(); applyFilter(); });

  // Clocks: the age of the last tick, the elapsed time and what is left of a deadline go on between two answers
  function words(ms) {
    const s = Math.max(0, Math.floor(ms / 1000));
    const two = (n) => String(n).padStart(2, "0");
    if (s >= 360000) return `${Math.floor(s / 86400)} d ${two(Math.floor((s % 86400) / 3600))} h`;
    if (s >= 3600) return `${Math.floor(s / 3600)} h ${two(Math.floor((s % 3600) / 60))} min`;
    return s >= 60 ? `${Math.floor(s / 60)} min ${two(s % 60)} s` : `${s} s`;
  }
  function showClocks() {
    const tick = byId("last-tick");
    if (tick && tick.dataset.at) {
      const age = Date.now() - new Date(tick.dataset.at);
      tick.textContent = `last tick ${words(age)} ago`;
      tick.className = age > 30000 ? "stale" : "quiet";
    }
    if (!document.querySelector("#live[hx-get]")) return;
    for (const place of document.querySelectorAll("[data-deadline]")) {
      const left = new Date(place.dataset.deadline) - Date.now();
      place.textContent = left > 0 ? `${words(left)} left` : `overdue by ${words(-left)}`;
      place.className = left > 0 ? "" : "stale";
    }
    for (const place of document.querySelectorAll("[data-elapsed-from]")) {
      const until = Math.min(Date.now(), new Date(place.dataset.elapsedTo));
      place.textContent = words(until - new Date(place.dataset.elapsedFrom));
    }
  }
  document.addEventListener("htmx:afterRequest", (event) => {
    const at = event.detail.xhr && event.detail.xhr.getResponseHeader("Last-Tick");
    if (at && byId("last-tick")) byId("last-tick").dataset.at = at;
  });
  setInterval(showClocks, 1000);

  // Filter: hides the rows of the page's list that do not hold the words
  let wanted = "";
  function applyFilter() {
    const field = document.querySelector("input.filter");
    if (!field) return;
    if (field.value !== wanted && document.activeElement !== field) field.value = wanted;
    for (const row of document.querySelectorAll(`${field.dataset.rows}`)) {
      row.hidden = wanted !== "" && !row.textContent.toLowerCase().includes(wanted);
    }
  }
  document.addEventListener("input", (event) => {
    if (!event.target.matches("input.filter")) return;
    wanted = event.target.value.toLowerCase();
    applyFilter();
  });

  // Grid: arrows move, Home and End jump; one cell of the grid is in the tab order
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  function moveInGrid(cell, key) {
    const cells = [...cell.ownerSVGElement.querySelectorAll("a[data-row]")];
    const row = Number(cell.dataset.row);
    const inRow = cells.filter((other) => Number(other.dataset.row) === row);
    if (key === "Home") return inRow[0];
    if (key === "End") return inRow[inRow.length - 1];
    const [down, right] = steps[key];
    if (right) return inRow[inRow.indexOf(cell) + right];
    const column = Number(cell.dataset.column);
    const target = cells.filter((other) => Number(other.dataset.row) === row + down);
    const distance = (other) => Math.abs(Number(other.dataset.column) - column);
    return target.sort((a, b) => distance(a) - distance(b))[0];
  }
  document.addEventListener("focusin", (event) => {
    const cell = event.target.closest && event.target.closest("svg a[data-row]");
    if (!cell) return;
    cell.ownerSVGElement.querySelectorAll('a[tabindex="0"]').forEach((other) => other.setAttribute("tabindex", "-1"));
    cell.setAttribute("tabindex", "0");
  });

  // Keyboard
  let afterG = false;
  function go(letter) {
    const link = document.querySelector(`[data-go="${CSS.escape(letter)}"]`);
    if (link) link.click();
  }
  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || target.matches("input, textarea, select")) return;
    const cell = target.closest("svg a[data-row]");
    if (cell && (key in steps || key === "Home" || key === "End")) {
      event.preventDefault();
      const next = moveInGrid(cell, key);
      if (next) next.focus();
    } else if (afterG) {
      afterG = false;
      event.preventDefault();
      go(key);
    } else if (key === "g") {
      afterG = true;
      setTimeout(() => { afterG = false; }, 1500);
    } else if (key === "?" && byId("help")) {
      byId("keys").showModal();
    } else if (key === "t") {
      nextTheme();
    } else if (key === "/") {
      const field = document.querySelector("input.filter");
      if (field) { event.preventDefault(); field.focus(); }
    }
  });
  if (byId("help")) byId("help").addEventListener("click", () => byId("keys").showModal());

  // Copy: a command to the clipboard; where the browser forbids it, it is marked to be copied by hand
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const source = byId(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source);
      button.textContent = "Marked: press Ctrl+C";
    }
  });

  // Print button of the report page
  document.addEventListener("click", (event) => {
    if (event.target.matches("[data-print]")) window.print();
  });
})();
