// Alerts on every page: the badge, the tab's title, a sound that a person asked for; and the keys of the inbox.
(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const badge = byId("badge");
  if (!badge) return;
  const EVERY_MS = 5000;
  const root = document.documentElement;
  let mark = "";

  // Title: while a critical alert is open, every tab says so first
  const PREFIX = /^■ \d+ critical · /;
  function showTitle() {
    const critical = Number(badge.dataset.critical);
    const wanted = (critical ? `■ ${critical} critical · ` : "") + document.title.replace(PREFIX, "");
    if (critical) byId("tab-icon").href = badge.dataset.icon;
    if (document.title !== wanted) document.title = wanted;
  }
  document.addEventListener("htmx:afterSwap", showTitle);

  // Sound: off until a person turns it on, in this browser; the browser itself may hold it back until they act
  const wantsSound = () => localStorage.getItem("wartest-sound") === "on";
  let audio;
  let waits = false;
  function tone(at, hertz) {
    const voice = audio.createOscillator();
    const volume = audio.createGain();
    voice.frequency.value = hertz;
    volume.gain.setValueAtTime(0.0001, at);
    volume.gain.exponentialRampToValueAtTime(0.25, at + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.0001, at + 0.28);
    voice.connect(volume).connect(audio.destination);
    voice.start(at);
    voice.stop(at + 0.3);
  }
  async function sound() {
    audio = audio || new AudioContext();
    const held = byId("sound-held");
    if (audio.state === "suspended") await Promise.race([audio.resume(), new Promise((go) => setTimeout(go, 300))]);
    if (held) held.hidden = audio.state === "running";
    if (audio.state !== "running") {
      waits = true;
      return;
    }
    waits = false;
    [0, 0.35, 0.7].forEach((after, n) => tone(audio.currentTime + after, n === 1 ? 660 : 880));
    root.dataset.sounded = String(Number(root.dataset.sounded || 0) + 1);
  }
  for (const act of ["pointerdown", "keydown"]) document.addEventListener(act, () => { if (waits) sound(); });
  function showSound() {
    const button = byId("sound");
    if (!button) return;
    button.textContent = wantsSound() ? "Sound: on" : "Sound: off";
    button.setAttribute("aria-pressed", String(wantsSound()));
  }
  if (byId("sound")) {
    byId("sound").addEventListener("click", () => {
      localStorage.setItem("wartest-sound", wantsSound() ? "off" : "on");
      showSound();
      if (wantsSound()) sound();
    });
    showSound();
  }

  // Which critical alert was heard of last: one tab of this browser sounds for it, once
  function call(newest, critical) {
    const before = Number(localStorage.getItem("wartest-heard") ?? newest);
    localStorage.setItem("wartest-heard", String(Math.max(before, newest)));
    if (newest > before && critical && wantsSound()) sound();
  }
  call(Number(badge.dataset.newest), Number(badge.dataset.critical));
  function show(told) {
    mark = told.mark;
    badge.textContent = told.open;
    badge.hidden = !told.open;
    badge.classList.toggle("critical", told.critical > 0);
    Object.assign(badge.dataset, { open: told.open, critical: told.critical, newest: told.newest_critical });
    byId("badge-words").textContent = told.open ? `${told.open} open${told.critical ? `, ${told.critical} of them critical` : ""}` : "";
    showTitle();
    showStopped(told.stopped);
    call(told.newest_critical, told.critical);
  }

  // Asking goes on in hidden tabs: that is where a person needs to be called back
  async function ask() {
    try {
      const answer = await fetch(`${badge.dataset.ask}?since=${encodeURIComponent(mark)}`, { redirect: "error" });
      const at = answer.headers.get("Last-Tick");
      if (at) byId("last-tick").dataset.at = at;
      if (answer.status === 200) show(await answer.json());
    } catch { /* signed out, or the portal is away: the page that polls says so */ }
    setTimeout(ask, EVERY_MS);
  }

  // The portal's own parts: a page that is open when one stops says so by itself, by the portal's clock and not by ours
  function showStopped(sentences) {
    const strip = byId("stopped");
    strip.replaceChildren(...sentences.map((words) => Object.assign(document.createElement("p"), { textContent: words })));
    strip.hidden = !sentences.length;
  }
  showTitle();
  setTimeout(ask, EVERY_MS);

  // Inbox: j and k move from alert to alert, a acknowledges the one that is marked
  const lines = () => [...document.querySelectorAll("#alert-rows tr[data-alert]")].filter((row) => !row.hidden);
  const marked = () => document.activeElement && document.activeElement.closest("#alert-rows tr[data-alert]");
  function move(step) {
    const rows = lines();
    if (!rows.length) return;
    const here = rows.indexOf(marked());
    const next = rows[here < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, here + step))];
    next.querySelector("td a").focus();
  }
  function acknowledge() {
    const row = marked() || lines()[0];
    const dialog = byId("acknowledge");
    if (!row || !dialog || dialog.open) return;
    const form = dialog.querySelector("form[method=post]");
    const open = row.dataset.acknowledge;
    byId("acknowledge-what").textContent = row.querySelector("td a").textContent.trim();
    if (!open) {
      byId("acknowledge-what").textContent += " This one is acknowledged or resolved already.";
    }
    if (form) {
      form.hidden = !open;
      form.action = open || "";
      form.elements.opening.value = row.dataset.opening;
    }
    dialog.showModal();
    if (form && open) form.elements.words.focus();
  }
  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || target.matches("input, textarea, select")) return;
    if (event.defaultPrevented || document.querySelector("dialog[open]") || !byId("alert-rows")) return;
    if (key === "j" || key === "k") move(key === "j" ? 1 : -1);
    else if (key === "a") acknowledge();
    else return;
    event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    if (event.target.matches("dialog [data-close]")) event.target.closest("dialog").close();
  });
})();
