// Forms: names of models as they are typed, and pre-flight while a question is written. Without this file the same
// forms work with the buttons alone.
const form = document.querySelector("form.ask");
// Not form.dataset and form.action: controls of these names would hide them.
const MODELS = form && form.getAttribute("data-models");
const ACTION = form && form.getAttribute("action");
const WAIT_MS = 500;
const LONGEST_MS = 600000;
let typing = null;
let checking = false;
let stale = false;

async function suggest(text) {
  const list = document.getElementById("models");
  const address = `${MODELS}?limit=20&search=${encodeURIComponent(text.split("@")[0])}`;
  const answer = await fetch(address, { headers: { Accept: "application/json" } });
  if (!answer.ok) return;
  const found = await answer.json();
  list.replaceChildren(...found.models.map((model) => {
    const option = document.createElement("option");
    option.value = model.name;
    if (model.parameters) option.label = `${model.name} (${model.parameters.toLocaleString("en")} parameters)`;
    return option;
  }));
}

// What is wrong and what it would cost. One check at a time: the first look at a data set may take minutes, and each
// check would occupy a thread of the server. What was typed meanwhile is checked next.
async function check() {
  stale = checking;
  if (checking) return;
  checking = true;
  try {
    do {
      stale = false;
      await checkOnce().catch(() => {}); // the next check may be answered
    } while (stale);
  } finally {
    checking = false;
  }
}

// As the server's own page says it; fields keep what is typed in them.
async function checkOnce() {
  const fields = new URLSearchParams(new FormData(form));
  fields.set("check", "1");
  const answer = await fetch(ACTION, { method: "POST", body: fields, signal: AbortSignal.timeout(LONGEST_MS) });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (stale) return;
  for (const said of form.querySelectorAll("[id^='problem-']")) {
    const fresh = page.getElementById(said.id);
    said.replaceChildren(...(fresh ? fresh.childNodes : []));
  }
  const fresh = page.getElementById("preflight");
  if (fresh) document.getElementById("preflight").replaceChildren(...fresh.childNodes);
}

function isAsked() {
  const value = (name) => (form.elements[name] ? form.elements[name].value : "");
  return value("student") && value("dataset") && teachers().some((line) => line.value);
}

function teachers() {
  return [...form.querySelectorAll("fieldset input[name=teacher]")];
}

// A line more as soon as the last one is used.
function grow() {
  const lines = teachers();
  const last = lines[lines.length - 1];
  if (!last || !last.value) return;
  const line = last.closest(".field").cloneNode(true);
  const input = line.querySelector("input");
  input.value = "";
  input.setAttribute("aria-label", `Teacher ${lines.length + 1}`);
  const said = line.querySelector(".problem");
  said.id = `problem-teacher-${lines.length}`;
  input.setAttribute("aria-describedby", said.id);
  said.replaceChildren();
  last.closest(".field").after(line);
}

function later(what) {
  clearTimeout(typing);
  typing = setTimeout(() => what().catch(() => {}), WAIT_MS); // a server that is away says so when the form is sent
}

if (form) {
  form.addEventListener("input", (event) => {
    grow();
    const wantsNames = event.target.getAttribute("list") === "models";
    later(async () => {
      if (wantsNames && event.target.value.length > 1) await suggest(event.target.value);
      if (document.getElementById("preflight") && isAsked()) await check();
    });
  });
  if (document.getElementById("preflight") && isAsked()) later(check);
}
