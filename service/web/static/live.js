// Keeps the page as it is on the server while something runs: fetches the `live` part anew and changes only the nodes
// that differ, so that focus, selection, scrolling and open details stay. The browser sends the part's ETag along, so
// what has not changed costs next to nothing. Events of the job say when to look; a poll looks anyway, should the
// stream be cut, and finds out when the server is lost. A page that is hidden does neither: browsers open six connections
// to a server, and the streams of six tabs would leave none for a request.
"use strict";

const POLL_MS = 2000;
const LEAST_MS = 700;
const SILENCE_MS = 2500;
const ANSWER_MS = 10000;

const live = document.getElementById("live");
let busy = false;
let newest = 0;
let again = false;
let last = 0;
let heard = Date.now();
let shown = null;
let stream = null;
let timer = null;
let pending = null;

// Nodes that scripts of this page added, marked `data-own`, are left alone, and whether details are open.
function change(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  const open = old.localName === "details" ? "open" : null;
  for (const { name } of [...old.attributes]) {
    if (name !== open && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (name !== open && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  changeChildren(old, fresh);
}

function changeChildren(old, fresh) {
  let place = next(old.firstChild);
  for (const wanted of [...fresh.childNodes]) {
    const twin = twinOf(old, place, wanted);
    if (twin === null) {
      old.insertBefore(wanted, place);
      continue;
    }
    // The twin itself stays, for a node that is moved loses focus and selection; what stands before it is wanted after
    // it, or no more.
    while (place !== twin) {
      const rest = next(place.nextSibling);
      if (place.id && fresh.querySelector(`:scope > #${CSS.escape(place.id)}`)) twin.after(place);
      else place.remove();
      place = rest;
    }
    change(twin, wanted);
    place = next(twin.nextSibling);
  }
  while (place) {
    const rest = next(place.nextSibling);
    place.remove();
    place = rest;
  }
}

// The node among the children of `old` that `wanted` is a newer state of: the one with its id, or else the next one.
function twinOf(old, place, wanted) {
  if (wanted.id) return [...old.children].find((each) => each.id === wanted.id && each.localName === wanted.localName) ?? null;
  const alike = place && !place.id && place.nodeType === wanted.nodeType && place.nodeName === wanted.nodeName;
  return alike ? place : null;
}

function next(node) {
  let found = node;
  while (found?.nodeType === Node.ELEMENT_NODE && found.hasAttribute("data-own")) found = found.nextSibling;
  return found;
}

// What has the focus, or else what is at the top of the screen, stays where it is while what stands above it grows.
function keepInView(act) {
  const focused = live.contains(document.activeElement) ? document.activeElement : null;
  const place = focused ?? document.elementFromPoint(window.innerWidth / 2, 8);
  const before = window.scrollY > 0 && live.contains(place) ? place.getBoundingClientRect().top : null;
  const { style } = document.documentElement;
  style.overflowAnchor = "none";
  act();
  if (before !== null && place.isConnected) window.scrollBy(0, place.getBoundingClientRect().top - before);
  requestAnimationFrame(() => style.removeProperty("overflow-anchor"));
}

// What is read out to those who do not see the page change.
function summaryOf(part) {
  return part.dataset.summary ?? part.querySelector("h1")?.textContent;
}

function tell(fresh) {
  const summary = summaryOf(fresh);
  if (summary !== summaryOf(live)) document.getElementById("said").textContent = summary;
}

async function look() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  const waiting = setTimeout(lose, SILENCE_MS);
  try {
    const answer = await fetch(live.dataset.source, {
      headers: { Accept: "text/html" }, signal: AbortSignal.timeout(ANSWER_MS),
    });
    if (answer.status >= 500) throw new Error("the server cannot answer");
    const tag = answer.headers.get("ETag");
    const page = answer.ok && !(tag && tag === shown) ? await answer.text() : null;
    find();
    if (page !== null) {
      shown = tag;
      const fresh = new DOMParser().parseFromString(page, "text/html").getElementById("live");
      if (fresh) {
        tell(fresh);
        keepInView(() => change(live, fresh));
        live.dispatchEvent(new CustomEvent("dpk:changed"));
        if (!live.hasAttribute("data-running")) stop();
      }
    }
  } catch {
    lose();
  }
  clearTimeout(waiting);
  last = Date.now();
  busy = false;
  if (again) {
    again = false;
    soon();
  }
}

function lose() {
  const lost = document.getElementById("lost");
  if (!lost.hidden || !live.hasAttribute("data-running")) return;
  const since = new Date(heard).toLocaleTimeString();
  lost.textContent = `The server does not answer. This is how things stood at ${since}; it is asked again every few seconds.`;
  lost.hidden = false;
}

function find() {
  heard = Date.now();
  document.getElementById("lost").hidden = true;
}

function soon() {
  if (pending === null) {
    pending = setTimeout(() => {
      pending = null;
      look();
    }, Math.max(0, last + LEAST_MS - Date.now()));
  }
}

function stop() {
  clearInterval(timer);
  listen();
}

// The stream is open while the page is looked at and something runs.
function listen() {
  const wanted = !document.hidden && live.hasAttribute("data-running");
  if (!wanted && stream) {
    stream.close();
    stream = null;
  }
  if (!wanted || stream || !live.dataset.events || !window.EventSource) return;
  // A new one knows of no event: without the last one's number it would be sent the job's whole history.
  stream = new EventSource(`${live.dataset.events}?after=${newest}`);
  for (const kind of EVENTS) {
    stream.addEventListener(kind, (event) => {
      newest = event.lastEventId;
      soon();
    });
  }
  stream.addEventListener("error", soon);
}

function start() {
  timer = setInterval(() => {
    if (!document.hidden) look();
  }, POLL_MS);
  listen();
  document.addEventListener("visibilitychange", () => {
    listen();
    if (!document.hidden && live.hasAttribute("data-running")) look();
  });
}

// The kinds of service/events/schemas.py.
const EVENTS = [
  "created", "stage_changed", "candidate_changed", "decision", "run_finished", "notice", "verdict", "paused", "resumed",
  "retried", "teacher_added", "described", "cancelling", "finished", "failed", "cancelled",
];

if (live && live.hasAttribute("data-running")) start();
