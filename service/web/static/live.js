// Keeps the page as it is on the server while something runs: fetches the `live` part anew and swaps only the sections
// that changed. The browser sends the part's ETag along, so what has not changed costs next to nothing. Events of the
// job say when to look; a slow poll looks anyway, should the stream be cut.
"use strict";

const POLL_MS = 3000;
const LEAST_MS = 700;

const live = document.getElementById("live");
const received = new Map();
let busy = false;
let again = false;
let last = 0;
let shown = null;
let stream = null;
let timer = null;

function remember(root) {
  for (const section of root.children) if (section.id) received.set(section.id, section.outerHTML);
}

function swap(fresh) {
  let place = live.firstElementChild;
  const ids = new Set([...fresh.children].map((section) => section.id));
  for (const old of [...live.children]) if (!ids.has(old.id)) old.remove();
  place = live.firstElementChild;
  for (const section of [...fresh.children]) {
    const source = section.outerHTML;
    const old = document.getElementById(section.id);
    if (old && received.get(section.id) === source) {
      place = old.nextElementSibling;
      continue;
    }
    received.set(section.id, source);
    if (old) {
      keepOpen(old, section);
      place = old.nextElementSibling;
      old.replaceWith(section);
    } else {
      live.insertBefore(section, place);
    }
  }
}

function keepOpen(old, section) {
  for (const details of old.querySelectorAll("details[id]")) {
    const twin = section.querySelector(`#${CSS.escape(details.id)}`);
    if (twin) twin.open = details.open;
  }
}

async function look() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  try {
    const answer = await fetch(live.dataset.source, { headers: { Accept: "text/html" } });
    const tag = answer.headers.get("ETag");
    if (answer.ok && !(tag && tag === shown)) {
      shown = tag;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("live");
      if (fresh) {
        swap(fresh);
        if (!fresh.hasAttribute("data-running")) stop();
      }
    }
  } catch {
    // The server is away; the next poll tries again.
  }
  last = Date.now();
  busy = false;
  if (again) {
    again = false;
    soon();
  }
}

let pending = null;
function soon() {
  if (pending === null) {
    pending = setTimeout(() => {
      pending = null;
      look();
    }, Math.max(0, last + LEAST_MS - Date.now()));
  }
}

function stop() {
  live.removeAttribute("data-running");
  clearInterval(timer);
  if (stream) stream.close();
}

function start() {
  remember(live);
  timer = setInterval(() => {
    if (!document.hidden) look();
  }, POLL_MS);
  if (live.dataset.events && window.EventSource) {
    stream = new EventSource(live.dataset.events);
    for (const kind of EVENTS) stream.addEventListener(kind, soon);
  }
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && live.hasAttribute("data-running")) look();
  });
}

// The kinds of service/events/schemas.py.
const EVENTS = [
  "created", "stage_changed", "candidate_changed", "decision", "run_finished", "notice", "verdict", "paused", "resumed",
  "retried", "teacher_added", "described", "cancelling", "finished", "failed", "cancelled",
];

if (live && live.hasAttribute("data-running")) start();
